import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { describe, it } from 'node:test';
import { kubernetesTypes } from '@istio-ts/api/resource-types';
import type { KubeObject, WatchEvent } from '@istio-ts/kube';
import { playedClient } from '@istio-ts/kube/testing/played-client';
import { recordingLogger } from '../log.test-support.ts';
import { persist } from './persist.ts';
import { steadyClient } from './steady-client.ts';
import { surviveUncaught } from './uncaught.ts';

const pod = (name: string): KubeObject => ({ apiVersion: 'v1', kind: 'Pod', metadata: { name, namespace: 'shop' } });

describe('steady client', () => {
  const watched = () => {
    const log = recordingLogger();
    let onEvent: (event: WatchEvent) => void = () => undefined;
    let onError: (error: Error) => void = () => undefined;
    let clock = 0;
    let failures = 0;
    const client = steadyClient(
      playedClient({
        watch: (_: unknown, __: unknown, event: typeof onEvent, error: typeof onError) => {
          onEvent = event;
          onError = error;
          return { close: () => undefined };
        },
      }),
      { log, now: () => clock, onFailure: () => failures++ },
    );
    return {
      client,
      log,
      send: (event: WatchEvent) => onEvent(event),
      interrupt: (message: string) => onError(new Error(message)),
      pass: (ms: number) => {
        clock += ms;
      },
      failures: () => failures,
    };
  };

  it('delivers what comes after an event that its listener cannot digest', () => {
    const { client, log, send, failures } = watched();
    const seen: string[] = [];
    client.watch(kubernetesTypes.Pod, {}, (event) => {
      if (event.type === 'SYNCED') return;
      if (event.object.metadata.name === 'bad') throw new Error('strange object');
      seen.push(event.object.metadata.name ?? '');
    });
    for (const name of ['a', 'bad', 'b']) send({ type: 'ADDED', object: pod(name) });
    assert.deepEqual(seen, ['a', 'b']);
    assert.equal(failures(), 1);
    assert.match(log.lines.join('\n'), /error pods: shop\/bad: Error: strange object/);
  });

  it('tells of interruptions once a minute', () => {
    const { client, log, interrupt, pass } = watched();
    client.watch(kubernetesTypes.Pod, {}, () => undefined);
    interrupt('connection refused');
    interrupt('connection refused');
    pass(61_000);
    interrupt('still refused');
    const warnings = log.lines.filter((line) => line.startsWith('warn'));
    assert.equal(warnings.length, 2);
    assert.match(warnings[0] ?? '', /pods was interrupted and is tried again: connection refused/);
    assert.match(warnings[1] ?? '', /still refused \(and 1 more/);
  });
});

describe('start while the API server is away', () => {
  it('goes on trying, with longer and longer waits, and says why', async () => {
    const log = recordingLogger();
    const waits: number[] = [];
    let attempts = 0;
    const value = await persist(
      'the CA cannot be loaded',
      async () => {
        if (++attempts < 8) throw new Error('connect ECONNREFUSED 10.0.0.1:443');
        return 'root';
      },
      { log, sleep: async (ms) => void waits.push(ms) },
    );
    assert.equal(value, 'root');
    assert.deepEqual(waits, [500, 1000, 2000, 4000, 8000, 15_000, 15_000]);
    assert.match(
      log.lines[0] ?? '',
      /the CA cannot be loaded: connect ECONNREFUSED 10.0.0.1:443; trying again in 0.5 s/,
    );
  });
});

describe('errors that nobody expected', () => {
  it('are logged and counted', () => {
    const log = recordingLogger();
    const emitter = new EventEmitter();
    let count = 0;
    const stop = surviveUncaught(emitter, log, () => count++);
    emitter.emit('uncaughtException', new Error('one'));
    emitter.emit('unhandledRejection', 'two');
    assert.equal(count, 2);
    assert.match(log.lines.join('\n'), /uncaught exception: Error: one[\s\S]*unhandled rejection: two/);
    stop();
    assert.equal(emitter.listenerCount('uncaughtException'), 0);
  });
});
