import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { defaultMeshConfig } from '@istio-ts/api';
import { createGrpcServer, type GrpcServer } from '@istio-ts/envoy/grpc';
import { freePort } from '@istio-ts/envoy/testing/free-port';
import { eventually } from '@istio-ts/envoy/testing/eventually';
import { createMesh, MeshSources } from '@istio-ts/mesh';
import { MetricsRegistry } from '@istio-ts/metrics';
import { createEngine } from '@istio-ts/xds';
import { istioObject, serviceObject, sliceObject } from '@istio-ts/xds/testing/objects';
import { createAdsMetrics } from '../metrics/pilot.ts';
import { configDump } from './config-dump.ts';
import { ask, startDynamicEnvoy, upstream } from './dynamic-envoy.test-support.ts';
import { type AdsServer, createAdsServer } from './server.ts';

/** The body of an answer of a host, or its status where that is not 200. */
async function bodyFrom(port: number, host: string, path = '/'): Promise<string> {
  const { status, body } = await ask(port, path, host);
  return status === 200 ? body : String(status);
}

describe('routes host by host with Envoy', () => {
  const sources = new MeshSources({
    meshConfig: { ...defaultMeshConfig(), outboundTrafficPolicy: { mode: 'REGISTRY_ONLY' }, enableAutoMtls: false },
  });
  const engine = createEngine(createMesh(sources));
  const folder = mkdtempSync(join(tmpdir(), 'vhds-'));
  const upstreams: { close: () => void }[] = [];
  /** What was sent of a type since the last look: lines such as `vhds sent: 1 resources`. */
  const sent: string[] = [];
  let ads: AdsServer;
  let server: GrpcServer;
  let envoy: ChildProcess;
  let adsPort = 0;
  let first = 0;
  let second = 0;

  const takeSent = (type: string): string[] => sent.splice(0).filter((line) => line.includes(`: ${type} sent`));
  const startServer = async (port: number): Promise<number> => {
    ads = createAdsServer({
      source: engine,
      trustDomain: 'cluster.local',
      systemNamespace: 'istio-system',
      controlPlaneId: '{"Component":"istiod"}',
      metrics: createAdsMetrics(new MetricsRegistry(), 'test'),
      log: {
        debug: (line) => void sent.push(String(line)),
        info() {},
        warn: (line) => void sent.push(String(line)),
        error() {},
      },
      now: Date.now,
    });
    server = createGrpcServer({ methods: ads.methods });
    return ((await server.listen({ host: '127.0.0.1', port })) as AddressInfo).port;
  };
  const addService = async (name: string, port: number, createdAt?: string): Promise<void> => {
    const target = await upstream(name);
    upstreams.push(target);
    sources.batch(() => {
      sources.set(
        serviceObject({ name, ...(createdAt && { createdAt }) }, [{ name: 'http', port, targetPort: target.port }], {
          clusterIP: `10.96.9.${upstreams.length}`,
          clusterIPs: [`10.96.9.${upstreams.length}`],
        }),
      );
      sources.set(sliceObject(name, [{ name: 'http', port: target.port }], [{ ip: '127.0.0.1' }]));
    });
  };
  const answerOf = (host: string, path: string, status: number): void =>
    sources.set(
      istioObject(
        'VirtualService',
        { name: host },
        {
          hosts: [host],
          http: [
            { match: [{ uri: { prefix: path } }], directResponse: { status } },
            { route: [{ destination: { host } }] },
          ],
        },
      ),
    );
  const settled = () =>
    eventually('everything is acknowledged', () =>
      ads.connections
        .all()[0]
        ?.statuses()
        .every(({ state }) => state === 'SYNCED'),
    );

  before(async () => {
    first = await freePort();
    second = await freePort();
    await addService('a', first);
    await addService('b', first);
    await addService('c', second);
    adsPort = await startServer(0);
    envoy = startDynamicEnvoy({
      folder,
      adsPort,
      apiType: 'DELTA_GRPC',
      node: {
        id: 'sidecar~127.0.0.1~client.default~default.svc.cluster.local',
        cluster: 'client.default',
        metadata: { NAMESPACE: 'default', INTERCEPTION_MODE: 'NONE', INCREMENTAL_ROUTES: 'true' },
      },
    });
  });

  after(async () => {
    envoy.kill();
    await server.close(100);
    engine.close();
    for (const one of upstreams) one.close();
    rmSync(folder, { recursive: true });
  });

  it('starts with all hosts of all route configurations, without waiting for a time to run out', async () => {
    await eventually('a answers', async () => (await bodyFrom(first, 'a')) === 'a').catch((error) => {
      throw new Error(`${error}\n${sent.join('\n')}\n${readFileSync(join(folder, 'log'), 'utf8')}`);
    });
    assert.equal(await bodyFrom(first, 'b.default.svc.cluster.local'), 'b');
    await eventually('c answers on the other port', async () => (await bodyFrom(second, 'c')) === 'c');
    assert.equal(await bodyFrom(first, 'nobody'), '502');
    await settled();
    assert.equal(takeSent('vhds').length, 2);
  });

  it('sends one host for one change, and the others answer all the time', async () => {
    let done = false;
    const wrong: string[] = [];
    const probing = (async () => {
      while (!done) {
        const answer = await bodyFrom(first, 'b');
        if (answer !== 'b') wrong.push(answer);
      }
    })();
    for (const status of [418, 419, 420, 421]) {
      answerOf('a', '/special', status);
      await eventually(`a answers ${status}`, async () => (await bodyFrom(first, 'a', '/special')) === String(status));
    }
    await settled();
    const lines = takeSent('vhds');
    assert.equal(lines.length, 4);
    for (const line of lines) assert.match(line, /1 resources/);
    done = true;
    await probing;
    assert.deepEqual(wrong, []);
  });

  it('adds and removes hosts, also the last one of a route configuration', async () => {
    await addService('d', first);
    await eventually('d answers', async () => (await bodyFrom(first, 'd')) === 'd');
    sources.delete(serviceObject({ name: 'd' }, []));
    await eventually('d is gone', async () => (await bodyFrom(first, 'd')) === '502');
    assert.equal(await bodyFrom(first, 'a'), 'a');
    await settled();
    assert.match(takeSent('vhds').at(-1) ?? '', /0 resources, 1 removed/);
  });

  it('shows whole tables in dumps', async () => {
    const proxy = ads.connections.all()[0];
    assert.ok(proxy);
    const { configs } = configDump(proxy) as {
      configs: {
        '@type': string;
        dynamicRouteConfigs?: { routeConfig: { name: string; virtualHosts: { name: string }[] } }[];
      }[];
    };
    const routes = configs.find((config) => config['@type'].endsWith('RoutesConfigDump'))?.dynamicRouteConfigs ?? [];
    const table = routes.find(({ routeConfig }) => routeConfig.name === String(first))?.routeConfig;
    assert.deepEqual(
      table?.virtualHosts.map(({ name }) => name),
      [`a.default.svc.cluster.local:${first}`, `b.default.svc.cluster.local:${first}`, 'block_all'],
    );
  });

  it('goes on serving without a control plane, and gets only what changed meanwhile', async () => {
    await server.close(0);
    assert.equal(await bodyFrom(first, 'a'), 'a');
    answerOf('b', '/special', 430);
    await addService('e', first);
    sources.delete(serviceObject({ name: 'c' }, []));
    await addService('f', second);
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(await bodyFrom(second, 'c'), 'c');
    sent.length = 0;
    await startServer(adsPort);
    await eventually('b answers anew', async () => (await bodyFrom(first, 'b', '/special')) === '430');
    await eventually('e answers', async () => (await bodyFrom(first, 'e')) === 'e');
    await eventually('f answers', async () => (await bodyFrom(second, 'f')) === 'f');
    await eventually('c is gone', async () => (await bodyFrom(second, 'c')) === '502');
    assert.equal(await bodyFrom(first, 'a', '/special'), '421');
    await settled();
    const lines = takeSent('vhds');
    assert.equal(lines.length, 2, lines.join('\n'));
    assert.ok(
      lines.some((line) => /vhds sent: 2 resources/.test(line)),
      lines.join('\n'),
    );
    assert.ok(
      lines.some((line) => /vhds sent: 1 resources, 1 removed/.test(line)),
      lines.join('\n'),
    );
  });

  it('gives a new port its hosts although Envoy does not ask for them again', async () => {
    const third = await freePort();
    await addService('g', third);
    await eventually('g answers on its port', async () => (await bodyFrom(third, 'g')) === 'g');
  });
});
