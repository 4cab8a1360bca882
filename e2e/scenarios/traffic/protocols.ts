import assert from 'node:assert/strict';
import { test } from 'node:test';
import { proves } from '@istio-ts/xds/field-proof';
import { until } from '../../support/shell.ts';
import { destinationRule, echo, istio, manifest, service, type World } from './world.ts';

interface Talk {
  readonly host: string;
  readonly port: number;
  /** Sent as soon as the connection stands; with nothing to say the client waits for the server to speak. */
  readonly say?: string;
  readonly until: string;
}

/** Protocols other than plain HTTP/1.1 requests. */
export function protocols(world: () => World): void {
  const apply = (...objects: readonly object[]) => world().cluster.apply(manifest(objects), 'traffic');
  const talk = (input: Talk) =>
    world().client.run(
      ({ net }, to) =>
        new Promise<string>((resolve) => {
          let text = '';
          const socket = net.connect(to.port, to.host, () => (to.say === undefined ? undefined : socket.write(to.say)));
          socket.setTimeout(5000, () => socket.destroy());
          socket.on('data', (chunk) => {
            text += chunk.toString('latin1');
            if (text.includes(to.until)) socket.destroy();
          });
          socket.on('error', () => undefined);
          socket.on('close', () => resolve(text));
        }),
      input,
    );
  const answers = (input: Talk) =>
    until(`bytes of ${input.host}:${input.port}`, async () => {
      const text = await talk(input);
      return text.includes(input.until) ? text : undefined;
    });

  test('TCP, also where the server speaks first, over mutual TLS', async () => {
    await apply(service('bytes'));
    assert.match(await answers({ host: 'bytes', port: 9000, say: 'ping', until: 'ping' }), /^v[12] .* ping$/);
    assert.match(await answers({ host: 'bytes', port: 9001, until: 'ready' }), /^220 v[12] ready/);
    const pod = await world().cluster.podOf('traffic', 'client');
    await until('the metric of the connections', async () => {
      // A connection from before the proxy knew the service is counted as one to something unknown.
      await talk({ host: 'bytes', port: 9000, say: 'ping', until: 'ping' });
      const text = await world().cluster.kubectl(
        ...['exec', '-n', 'traffic', pod, '-c', 'istio-proxy', '--', 'curl', '-s', 'localhost:15020/stats/prometheus'],
      );
      const lines = text.split('\n').filter((line) => line.startsWith('istio_tcp_connections_opened_total{'));
      const principal = 'destination_principal="spiffe://cluster.local/ns/traffic/sa/origin"';
      if (!lines.some((line) => line.includes('destination_service_name="bytes"') && line.includes(principal)))
        throw new Error(lines.join('\n'));
      return true;
    });
  });

  test('TCP by weight', async () => {
    proves(
      'VirtualService.spec.tcp[].match[].port',
      'VirtualService.spec.tcp[].route[].weight',
      'VirtualService.spec.tcp[].route[].destination',
    );
    await apply(
      service('bytes-weighted'),
      destinationRule('bytes-weighted'),
      istio('VirtualService', 'bytes-weighted', {
        hosts: ['bytes-weighted'],
        tcp: [
          {
            match: [{ port: 9000 }],
            route: [
              { destination: { host: 'bytes-weighted', subset: 'v1' }, weight: 0 },
              { destination: { host: 'bytes-weighted', subset: 'v2' }, weight: 100 },
            ],
          },
        ],
      }),
    );
    await until('all connections at v2', async () => {
      for (let n = 0; n < 8; n++)
        if (!(await talk({ host: 'bytes-weighted', port: 9000, say: 'x', until: 'x' })).startsWith('v2'))
          return undefined;
      return true;
    });
  });

  test('ports without a protocol in their name are looked at', async () => {
    await apply({
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'sniffed' },
      spec: {
        selector: { app: 'origin' },
        ports: [
          { name: 'one', port: 8080 },
          { name: 'two', port: 9000 },
        ],
      },
    });
    // Until the proxy knows the service, the request passes through as to an unknown one: without mutual TLS.
    await until('HTTP on a port without a protocol', async () => {
      const answer = await world().client.call('http://sniffed:8080/');
      return /sa\/client/.test(echo(answer).headers['x-forwarded-client-cert'] ?? '') ? true : undefined;
    });
    assert.match(await answers({ host: 'sniffed', port: 9000, say: '\u0001any\n', until: 'any\n' }), /^v[12] .*any\n$/);
  });

  test('headless services and the pods of a StatefulSet by name', async () => {
    await apply(service('headless', { app: 'member' }, { clusterIP: 'None' }), {
      apiVersion: 'apps/v1',
      kind: 'StatefulSet',
      metadata: { name: 'member' },
      spec: {
        serviceName: 'headless',
        replicas: 1,
        selector: { matchLabels: { app: 'member' } },
        template: {
          metadata: { labels: { app: 'member', version: 'v1' } },
          spec: {
            containers: [
              {
                name: 'origin',
                image: 'docker.io/library/node:24',
                command: ['node', '/programs/origin.ts'],
                env: [{ name: 'VERSION', value: 'member' }],
                volumeMounts: [{ name: 'programs', mountPath: '/programs' }],
              },
            ],
            volumes: [{ name: 'programs', configMap: { name: 'programs' } }],
          },
        },
      },
    });
    await world().cluster.podsReady('traffic', 'app=member');
    for (const host of ['headless', 'member-0.headless']) {
      const seen = await until(`mutual TLS with ${host}`, async () => {
        const answer = await world().client.call(`http://${host}:8080/`);
        const request = echo(answer);
        if (!/sa\/client/.test(request.headers['x-forwarded-client-cert'] ?? '')) throw new Error(answer.text);
        return request;
      });
      assert.equal(seen.pod, 'member-0');
      assert.match(await answers({ host, port: 9000, say: 'hi', until: 'hi' }), /^member member-0 hi$/);
      assert.match(await answers({ host, port: 9001, until: 'ready' }), /^220 member ready/);
    }
  });

  test('gRPC requests of one connection are shared out', async () => {
    const pods = await world().client.run(
      ({ http2 }, url) =>
        new Promise<string[]>((resolve, reject) => {
          const session = http2.connect(url);
          session.on('error', reject);
          const found: string[] = [];
          const next = () => {
            if (found.length === 20) {
              session.close();
              return resolve(found);
            }
            const stream = session.request({
              ':method': 'POST',
              ':path': '/test.Origin/Who',
              'content-type': 'application/grpc',
              te: 'trailers',
            });
            let pod = '';
            let status: unknown;
            stream.on('response', (headers) => {
              pod = String(headers['x-pod']);
              status = headers['grpc-status'];
            });
            stream.on('trailers', (trailers) => (status = trailers['grpc-status']));
            stream.on('end', () => {
              found.push(status === '0' ? pod : `status ${String(status)}`);
              next();
            });
            stream.on('error', reject);
            stream.resume();
            stream.end(Buffer.from([0, 0, 0, 0, 0]));
          };
          next();
        }),
      'http://origin:8081',
    );
    const counts = [...new Set(pods)].map((pod) => `${pod}: ${pods.filter((one) => one === pod).length}`);
    assert.equal(counts.length, 2, counts.join(', '));
    assert.ok(
      counts.every((count) => /^origin-v[12]/.test(count)),
      counts.join(', '),
    );
  });

  test('WebSockets', async () => {
    const text = await answers({
      host: 'origin',
      port: 8080,
      say: 'GET /socket HTTP/1.1\r\nHost: origin:8080\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\nframes',
      until: 'frames',
    });
    assert.match(text, /^HTTP\/1\.1 101 /);
    assert.match(text, /frames$/);
  });

  test('a client that speaks HTTP/1.0', async () => {
    const text = await talk({
      host: 'origin',
      port: 8080,
      say: 'GET /old HTTP/1.0\r\nHost: origin:8080\r\n\r\n',
      until: '}}',
    });
    // As in Istio, HTTP/1.0 needs ISTIO_META_HTTP10 at the proxy.
    assert.match(text, /^HTTP\/1\.1 (200|426) /);
  });

  test('ten megabytes up and down', async () => {
    const size = 10 * 1024 * 1024;
    const up = await world().client.call({ url: 'http://origin:8080/', method: 'POST', bodyBytes: size });
    assert.equal(echo(up).bytes, size);
    const down = await world().client.call(`http://origin:8080/?bytes=${size}`);
    assert.deepEqual([down.status, down.bytes], [200, size]);
  });
}
