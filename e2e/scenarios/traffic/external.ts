import assert from 'node:assert/strict';
import { test } from 'node:test';
import { proves } from '@istio-ts/xds/field-proof';
import { eventually, until } from '../../support/shell.ts';
import { echo, istio, manifest, type World } from './world.ts';

/** Traffic to what is not in the mesh. */
export function external(world: () => World): void {
  const apply = (...objects: readonly object[]) => world().cluster.apply(manifest(objects), 'traffic');
  const versionAt = (url: string, connectTo?: string) =>
    until(`an answer of ${url}`, async () => {
      const seen = await world().client.call({ url, ...(connectTo && { connectTo }) });
      if (seen.status !== 200) throw new Error(`${seen.status} ${seen.error ?? seen.text}`);
      return echo(seen);
    });

  test('a ServiceEntry with an address of its own and fixed endpoints', async () => {
    proves(
      'ServiceEntry.spec.hosts[]',
      'ServiceEntry.spec.addresses[]',
      'ServiceEntry.spec.ports[].number',
      'ServiceEntry.spec.ports[].protocol',
      'ServiceEntry.spec.ports[].targetPort',
      'ServiceEntry.spec.resolution',
      'ServiceEntry.spec.endpoints[].address',
    );
    const address = await world().address('outside', 'origin');
    await apply(
      istio('ServiceEntry', 'fixed', {
        hosts: ['fixed.example.test'],
        addresses: ['240.1.1.1'],
        ports: [{ number: 80, name: 'http', protocol: 'HTTP', targetPort: 8080 }],
        location: 'MESH_EXTERNAL',
        resolution: 'STATIC',
        endpoints: [{ address }],
      }),
      istio('VirtualService', 'fixed', {
        hosts: ['fixed.example.test'],
        http: [
          {
            headers: { request: { set: { 'x-through': 'the mesh' } } },
            route: [{ destination: { host: 'fixed.example.test' } }],
          },
        ],
      }),
    );
    const seen = await until('the rules of the entry', async () => {
      const answer = await versionAt('http://fixed.example.test/', '240.1.1.1');
      return answer.headers['x-through'] ? answer : undefined;
    });
    assert.deepEqual(
      [seen.version, seen.headers['x-through'], seen.headers.host],
      ['outside', 'the mesh', 'fixed.example.test'],
    );
  });

  test('a ServiceEntry whose endpoint is a name', async () => {
    proves(
      'ServiceEntry.spec.resolution',
      'ServiceEntry.spec.endpoints[].ports[]',
      'ServiceEntry.spec.ports[].name',
      'ServiceEntry.spec.ports[].number',
    );
    await apply(
      istio('ServiceEntry', 'named', {
        hosts: ['named.example.test'],
        ports: [{ number: 8088, name: 'http', protocol: 'HTTP' }],
        location: 'MESH_EXTERNAL',
        resolution: 'DNS',
        endpoints: [{ address: 'external.outside.svc.cluster.local', ports: { http: 8080 } }],
      }),
    );
    // The name itself resolves nowhere, as the client's proxy chooses by the Host header.
    const seen = await versionAt('http://named.example.test:8088/', '240.9.9.9');
    assert.equal(seen.version, 'outside');
  });

  test('unknown destinations pass with ALLOW_ANY and not with REGISTRY_ONLY', async () => {
    proves('Sidecar.spec.workloadSelector.labels[]', 'Sidecar.spec.outboundTrafficPolicy.mode');
    const address = await world().address('outside', 'origin');
    const url = `http://${address}:8080/`;
    assert.equal((await versionAt(url)).version, 'outside');
    const hello = () =>
      world().client.run(
        ({ net }, host) =>
          new Promise<string>((resolve) => {
            let text = '';
            const socket = net.connect(9000, host, () => socket.write('hello'));
            socket.on('data', (chunk) => {
              text += chunk.toString();
              socket.end();
            });
            socket.on('error', () => undefined);
            socket.on('close', () => resolve(text));
          }),
        address,
      );
    await eventually('unknown bytes to pass', async () => assert.match(await hello(), /^outside .* hello$/));
    await apply(
      istio('Sidecar', 'client-only', {
        workloadSelector: { labels: { app: 'client' } },
        outboundTrafficPolicy: { mode: 'REGISTRY_ONLY' },
      }),
    );
    await until('unknown HTTP to be refused', async () =>
      (await world().client.call(url)).status === 502 ? true : undefined,
    );
    // The listener for it is another resource than the routes for HTTP.
    await eventually('unknown bytes to be refused', async () => assert.equal(await hello(), ''));
    assert.equal((await versionAt('http://fixed.example.test/', '240.1.1.1')).version, 'outside');
    assert.match((await versionAt('http://origin:8080/')).version, /^v[12]$/);
    await world().cluster.kubectl('delete', 'sidecar', '-n', 'traffic', 'client-only');
    assert.equal((await versionAt(url)).version, 'outside');
  });

  test('through the egress gateway', async () => {
    proves(
      'VirtualService.spec.gateways[]',
      'VirtualService.spec.http[].match[].gateways[]',
      'VirtualService.spec.http[].match[].port',
      'VirtualService.spec.http[].route[].destination.port',
      'Gateway.spec.selector[]',
      'Gateway.spec.servers[].port.number',
      'Gateway.spec.servers[].port.protocol',
      'Gateway.spec.servers[].hosts[]',
    );
    const address = await world().address('outside', 'origin');
    await apply(
      istio('ServiceEntry', 'egress', {
        hosts: ['egress.example.test'],
        addresses: ['240.2.2.2'],
        ports: [{ number: 80, name: 'http', protocol: 'HTTP', targetPort: 8080 }],
        location: 'MESH_EXTERNAL',
        resolution: 'STATIC',
        endpoints: [{ address }],
      }),
      istio('Gateway', 'egress', {
        selector: { istio: 'egressgateway' },
        servers: [{ port: { number: 80, name: 'http', protocol: 'HTTP' }, hosts: ['egress.example.test'] }],
      }),
      istio('VirtualService', 'egress', {
        hosts: ['egress.example.test'],
        gateways: ['mesh', 'egress'],
        http: [
          {
            match: [{ gateways: ['mesh'], port: 80 }],
            route: [
              { destination: { host: 'istio-egressgateway.istio-system.svc.cluster.local', port: { number: 80 } } },
            ],
          },
          {
            match: [{ gateways: ['egress'], port: 80 }],
            headers: { request: { set: { 'x-left-by': 'egress' } } },
            route: [{ destination: { host: 'egress.example.test', port: { number: 80 } } }],
          },
        ],
      }),
    );
    await until('the egress gateway to be in use', async () =>
      (await versionAt('http://egress.example.test/', '240.2.2.2')).headers['x-left-by'] === 'egress'
        ? true
        : undefined,
    );
  });
}
