import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { after, before, describe, it } from 'node:test';
import { findEnvoy, withoutEnvoy } from '@istio-ts/envoy/testing/binary';
import { NAME_TABLE_TYPE } from '@istio-ts/envoy/name-table';
import type { KubeObject } from '@istio-ts/kube/object';
import { istioObject } from '@istio-ts/xds/testing/objects';
import { type HttpReply, httpGet } from '@istio-ts/xds/testing/http-client';
import { TypeUrl } from '../ads/resource-kinds.ts';
import { syncStatus } from '../ads/sync-status.ts';
import { eventually } from '@istio-ts/envoy/testing/eventually';
import { freePort, OWN_AGENT, type RunningAgent, startAgent } from './agent.test-support.ts';
import { serverAndClient } from './bound-sidecars.test-support.ts';
import { type ControlPlane, startControlPlane } from './control-plane.test-support.ts';
import { type Cleanups, listening } from './listening.test-support.ts';
import { type StandIn, startStandIn } from './stand-in-agent.test-support.ts';

const byte = 16 + Math.floor(Math.random() * 200);
const ip = (last: number): string => `127.79.${byte}.${last}`;

/** Envoys of the releases that stock agents of Istio bring: VERSION=PATH, separated by commas. */
const OLDER = (process.env.ISTIO_TS_STOCK_ENVOYS ?? '').split(',').flatMap((entry) => {
  const [istio, envoy] = entry.split('=');
  return istio && envoy ? [{ istio, envoy }] : [];
});
const envoys = [{ istio: '1.30.0', envoy: findEnvoy() ?? '' }, ...OLDER];

const weights = (v1: number): KubeObject =>
  istioObject(
    'VirtualService',
    { name: 'server' },
    {
      hosts: ['server'],
      http: [
        {
          match: [{ headers: { user: { exact: 'tester' } } }],
          route: [{ destination: { host: 'server', subset: 'v2' } }],
        },
        {
          route: [
            { destination: { host: 'server', subset: 'v1' }, weight: v1 },
            { destination: { host: 'server', subset: 'v2' }, weight: 100 - v1 },
          ],
        },
      ],
    },
  );

/** The control plane, a server with our agent and its application; the client is what a test is about. */
async function startMesh(cleanups: Cleanups) {
  const app = createServer((request, response) => {
    response.setHeader('x-forwarded', String(request.headers['x-forwarded-client-cert'] ?? ''));
    response.end('from the application');
  });
  const target = await listening(app, cleanups);
  const port = await freePort();
  const inbound = await freePort();
  const controlPlane = await startControlPlane(
    [
      ...serverAndClient({ server: ip(1), client: ip(2), port, inbound, app: target, serverLabels: { version: 'v1' } }),
      istioObject(
        'DestinationRule',
        { name: 'server' },
        { host: 'server', subsets: ['v1', 'v2'].map((version) => ({ name: version, labels: { version } })) },
      ),
      weights(100),
    ],
    { proxyListenPort: await freePort(), proxyInboundListenPort: await freePort(), accessLogFile: '/dev/null' },
  );
  cleanups.push(() => controlPlane.close());
  const server = await startAgent({
    command: OWN_AGENT,
    controlPlane,
    pod: {
      name: 'server-1',
      namespace: 'default',
      account: 'server',
      ip: ip(1),
      labels: { app: 'server', version: 'v1' },
    },
    env: { ENVOY_BINARY: findEnvoy() ?? '' },
  });
  cleanups.push(() => server.stop());
  return { controlPlane, server, port };
}

for (const { istio, envoy } of envoys)
  describe(`a stock agent of Istio ${istio}, stood in for, with Envoy ${envoy}`, { skip: withoutEnvoy }, () => {
    const cleanups: Cleanups = [];
    let controlPlane: ControlPlane;
    let own: RunningAgent;
    let client: StandIn;
    let port = 0;

    const told = (): string =>
      [...controlPlane.complaints, client?.output() ?? '', own?.output() ?? '', ...(client?.rejections ?? [])].join(
        '\n',
      );
    const call = (headers: Record<string, string> = {}): Promise<HttpReply> =>
      httpGet({ port, host: `server:${port}`, path: '/hello', headers });

    before(async () => {
      ({ controlPlane, server: own, port } = await startMesh(cleanups));
      client = await startStandIn({
        controlPlane,
        envoy,
        istioVersion: istio,
        pod: { name: 'client-1', namespace: 'default', account: 'client', ip: ip(2) },
        labels: { app: 'client' },
      });
      cleanups.push(() => client.stop());
    });
    after(async () => {
      for (const cleanup of cleanups.reverse()) await cleanup();
    });

    it('gets everything, refuses nothing, and reaches a sidecar of ours with mutual TLS', async () => {
      const reply = await eventually(
        'an answer',
        () => call(),
        ({ status }) => status === 200,
        told,
      );
      assert.equal(reply.body, 'from the application');
      assert.match(String(reply.headers['x-forwarded']), /URI=spiffe:\/\/cluster\.local\/ns\/default\/sa\/client/);
      assert.deepEqual(client.rejections, []);
      for (const type of [TypeUrl.cluster, TypeUrl.endpoint, TypeUrl.listener, TypeUrl.route])
        assert.ok(client.accepted.has(type), type);
      assert.deepEqual(controlPlane.complaints, []);
      assert.ok(controlPlane.issued.includes('default/client'));
    });

    it('is in sync, and known by its token', async () => {
      const found = await eventually(
        'all types are in sync',
        () => controlPlane.connections().find(({ node }) => node.podName === 'client-1'),
        (proxy) => proxy?.statuses().every(({ state }) => state === 'SYNCED') === true,
        told,
      );
      assert.ok(found);
      assert.equal(found.node.identity, 'spiffe://cluster.local/ns/default/sa/client');
      const row = syncStatus(found);
      assert.equal(row.proxy, 'client-1.default');
      assert.equal(row.istio_version, istio);
    });

    it('gets whole route configurations, which change with a VirtualService', async () => {
      const found = controlPlane.connections().find(({ node }) => node.podName === 'client-1');
      assert.equal(
        found?.statuses().some(({ typeUrl }) => typeUrl === TypeUrl.virtualHost),
        false,
      );
      controlPlane.set(weights(0));
      await eventually(
        'no server of version 2',
        () => call(),
        ({ status }) => status === 503,
        told,
      );
      controlPlane.set(weights(100));
      await eventually(
        'the server again',
        () => call(),
        ({ status }) => status === 200,
        told,
      );
      assert.equal((await call({ user: 'tester' })).status, 503);
    });

    it('gets names for its DNS proxy on the same stream', async () => {
      const [first] = await eventually(
        'a table of names',
        () => client.own.get(NAME_TABLE_TYPE) ?? [],
        ({ length }) => length > 0,
        told,
      );
      const table = first?.resources?.[0]?.resource as unknown as { readonly table: Readonly<Record<string, unknown>> };
      assert.deepEqual(table.table['server.default.svc.cluster.local'], {
        ips: ['10.96.1.1'],
        registry: 'Kubernetes',
        shortname: 'server',
        namespace: 'default',
      });
      const own = controlPlane.connections().filter(({ node }) => node.podName === 'client-1');
      assert.equal(own.length, 1);
    });

    it('reports health on the same stream, which goes on', async () => {
      await client.reportHealth('connection refused');
      await client.reportHealth(undefined);
      await eventually(
        'two reports',
        () => controlPlane.health,
        ({ length }) => length === 2,
        told,
      );
      assert.deepEqual(controlPlane.health, ['client-1 connection refused', 'client-1 healthy']);
      assert.equal((await call()).status, 200);
    });
  });

/** A program `pilot-agent` of Istio, and what it takes from its image: the template of the bootstrap, and its Envoy. */
const AGENT = process.env.ISTIO_TS_STOCK_AGENT;
const withoutAgent = !AGENT && 'ISTIO_TS_STOCK_AGENT names no pilot-agent (docs/clients.md says how to run this)';

describe(`the agent ${AGENT ?? 'of a release of Istio'}`, { skip: withoutEnvoy || withoutAgent }, () => {
  const cleanups: Cleanups = [];
  after(async () => {
    for (const cleanup of cleanups.reverse()) await cleanup();
  });

  it('has its key signed, gets everything, and reaches a sidecar of ours with mutual TLS', async () => {
    const { controlPlane, server, port } = await startMesh(cleanups);
    const envoy = process.env.ISTIO_TS_STOCK_ENVOY || (findEnvoy() ?? '');
    const template = process.env.ISTIO_TS_STOCK_BOOTSTRAP;
    const client = await startAgent({
      command: (AGENT ?? '').split(' '),
      controlPlane,
      pod: { name: 'client-1', namespace: 'default', account: 'client', ip: ip(2), labels: { app: 'client' } },
      env: { ENVOY_BINARY: envoy, ...(template && { ISTIO_BOOTSTRAP: template }) },
      proxyConfig: { binaryPath: envoy, configPath: './etc/istio/proxy' },
    });
    cleanups.push(() => client.stop());
    const told = (): string => [...controlPlane.complaints, client.output(), server.output()].join('\n');
    const reply = await eventually(
      'an answer',
      () => httpGet({ port, host: `server:${port}`, path: '/hello' }),
      ({ status }) => status === 200,
      told,
    );
    assert.match(String(reply.headers['x-forwarded']), /URI=spiffe:\/\/cluster\.local\/ns\/default\/sa\/client/);
    const proxy = await eventually(
      'all types are in sync',
      () => controlPlane.connections().find(({ node }) => node.podName === 'client-1'),
      (found) => found?.statuses().every(({ state }) => state === 'SYNCED') === true,
      told,
    );
    assert.equal(proxy?.node.identity, 'spiffe://cluster.local/ns/default/sa/client');
    assert.deepEqual(controlPlane.complaints, []);
    assert.ok(controlPlane.issued.includes('default/client'));
  });
});
