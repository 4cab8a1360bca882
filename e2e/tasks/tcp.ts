import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { test } from 'node:test';
import { proves } from '@istio-ts/xds/field-proof';
import { eventually } from '../support/shell.ts';
import { type Mesh, settled, tally } from './mesh.ts';

/** Sends a line over a connection of its own; what came back, empty where nothing did. */
function say(host: string, port: number, line: string): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    const socket = connect(port, host, () => socket.write(`${line}\n`));
    socket.setTimeout(5000, () => socket.destroy());
    socket.on('data', (chunk) => {
      text += chunk.toString();
      if (text.includes('\n')) socket.end();
    });
    socket.on('error', () => resolve(text));
    socket.on('close', () => resolve(text));
  });
}

/** TCP traffic shifting. */
export function tcpShifting(mesh: () => Mesh): void {
  test('TCP traffic shifting: all connections to v1, then one of five to v2', async () => {
    proves(
      'VirtualService.spec.tcp[].match[].port',
      'VirtualService.spec.tcp[].route[].weight',
      'VirtualService.spec.tcp[].route[].destination.subset',
    );
    const call = () => say(mesh().ingress, 31400, 'hello');
    await mesh().applySamples('tcp-echo/tcp-echo-all-v1.yaml');
    await settled('v1 of tcp-echo', call, (answer) => answer === 'one hello\n', 10);
    await mesh().applySamples('tcp-echo/tcp-echo-20-v2.yaml');
    await eventually('both versions of tcp-echo', async () => {
      const seen = await tally(40, call, (answer) => answer.trim());
      assert.deepEqual([...seen.keys()].sort(), ['one hello', 'two hello']);
    });
    await mesh().deleteSamples('tcp-echo/tcp-echo-all-v1.yaml');
  });
}
