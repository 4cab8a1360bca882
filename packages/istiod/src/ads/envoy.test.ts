import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { Cluster, ClusterLoadAssignment, Listener, RouteConfiguration } from '@istio-ts/envoy';
import { typedAny } from '@istio-ts/envoy';
import { createGrpcServer, type GrpcServer } from '@istio-ts/envoy/grpc';
import { freePort } from '@istio-ts/envoy/testing/free-port';
import { eventually } from '@istio-ts/envoy/testing/eventually';
import { MetricsRegistry } from '@istio-ts/metrics';
import {
  createCsr,
  createRootCertificate,
  exportPrivateKey,
  generatePrivateKey,
  loadAuthority,
  P256,
} from '@istio-ts/security';
import { createAdsMetrics } from '../metrics/pilot.ts';
import { MemorySource } from './memory-source.ts';
import { ask, startDynamicEnvoy, upstream } from './dynamic-envoy.test-support.ts';
import { TypeUrl } from './resource-kinds.ts';
import { type AdsServer, createAdsServer } from './server.ts';
import { syncStatus } from './sync-status.ts';
import { silent } from '../silent-log.test-support.ts';

function cluster(name: string, connectTimeout = '1s'): Cluster {
  return {
    name,
    type: 'EDS',
    connectTimeout,
    edsClusterConfig: { edsConfig: { ads: {}, resourceApiVersion: 'V3', initialFetchTimeout: '0s' } },
  };
}

function endpoints(clusterName: string, port: number): ClusterLoadAssignment {
  const address = { socketAddress: { address: '127.0.0.1', portValue: port } };
  return { clusterName, endpoints: [{ lbEndpoints: [{ endpoint: { address } }] }] };
}

function listener(name: string, port: number, statPrefix: string): Listener {
  return {
    name,
    address: { socketAddress: { address: '127.0.0.1', portValue: port } },
    filterChains: [
      {
        filters: [
          {
            name: 'http',
            typedConfig: typedAny('envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager', {
              statPrefix,
              rds: {
                routeConfigName: 'main',
                configSource: { ads: {}, resourceApiVersion: 'V3', initialFetchTimeout: '0s' },
              },
              httpFilters: [
                { name: 'router', typedConfig: typedAny('envoy.extensions.filters.http.router.v3.Router', {}) },
              ],
            }),
          },
        ],
      },
    ],
  };
}

function routes(clusterName: string): RouteConfiguration {
  return {
    name: 'main',
    virtualHosts: [
      { name: 'all', domains: ['*'], routes: [{ match: { prefix: '/' }, route: { cluster: clusterName } }] },
    ],
  };
}

const authority = loadAuthority(createRootCertificate({ organization: 'cluster.local', now: new Date() }));

/** Envoy's side of the encrypted port: its certificate, and no ALPN, as a context without protocols has it. */
function upstreamTls(): object {
  const key = generatePrivateKey(P256);
  const issued = authority.sign({
    csr: createCsr(key, []),
    identity: { trustDomain: 'cluster.local', namespace: 'shop', serviceAccount: 'cart' },
    now: new Date(),
  });
  return {
    name: 'envoy.transport_sockets.tls',
    typed_config: {
      '@type': 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext',
      sni: 'istiod.istio-system.svc',
      common_tls_context: {
        tls_certificates: [
          { certificate_chain: { inline_string: issued.chain }, private_key: { inline_string: exportPrivateKey(key) } },
        ],
        validation_context: { trusted_ca: { inline_string: authority.root } },
      },
    },
  };
}

for (const { apiType, tls } of [
  { apiType: 'DELTA_GRPC', tls: false },
  { apiType: 'GRPC', tls: false },
  { apiType: 'DELTA_GRPC', tls: true },
] as const) {
  describe(`Envoy over ${apiType}${tls ? ' with mutual TLS' : ''}`, () => {
    const source = new MemorySource();
    const registry = new MetricsRegistry();
    const metrics = createAdsMetrics(registry, 'test');
    const folder = mkdtempSync(join(tmpdir(), 'ads-'));
    let ads: AdsServer;
    let server: GrpcServer;
    let envoy: ChildProcess;
    let adsPort = 0;
    let listenerPort = 0;
    let one: Awaited<ReturnType<typeof upstream>>;
    let two: Awaited<ReturnType<typeof upstream>>;

    const startServer = async (port: number): Promise<number> => {
      ads = createAdsServer({
        source,
        trustDomain: 'cluster.local',
        systemNamespace: 'istio-system',
        controlPlaneId: '{"Component":"istiod"}',
        metrics,
        log: silent,
        now: Date.now,
      });
      const own = authority.issueServer({ dnsNames: ['istiod.istio-system.svc'], now: new Date() });
      server = createGrpcServer({
        methods: ads.methods,
        ...(tls ? { tls: { key: own.key, cert: own.chain, ca: authority.root } } : {}),
      });
      return ((await server.listen({ host: '127.0.0.1', port })) as AddressInfo).port;
    };
    const statusOf = (typeUrl: string) =>
      ads.connections
        .all()[0]
        ?.statuses()
        .find((status) => status.typeUrl === typeUrl);
    const synced = (...types: string[]) =>
      eventually('all types are in sync', () => types.every((typeUrl) => statusOf(typeUrl)?.state === 'SYNCED'));

    before(async () => {
      one = await upstream('one');
      two = await upstream('two');
      listenerPort = await freePort();
      adsPort = await startServer(0);
      source.change({
        [TypeUrl.cluster]: { c: cluster('c') },
        [TypeUrl.endpoint]: { c: endpoints('c', one.port) },
        [TypeUrl.listener]: { l: listener('l', listenerPort, 'a') },
        [TypeUrl.route]: { main: routes('c') },
      });
      envoy = startDynamicEnvoy({
        folder,
        adsPort,
        apiType,
        node: {
          id: 'sidecar~10.1.2.3~pod-1.shop~shop.svc.cluster.local',
          cluster: 'pod.shop',
          metadata: { NAMESPACE: 'shop', CLUSTER_ID: 'Kubernetes', ISTIO_VERSION: '1.30.0' },
        },
        ...(tls && { transportSocket: upstreamTls() }),
      });
    });

    after(async () => {
      envoy.kill();
      await server.close(100);
      one.close();
      two.close();
      rmSync(folder, { recursive: true });
    });

    it('gets everything and serves', async () => {
      const response = await eventually('a response', async () => {
        const found = await ask(listenerPort);
        return found.status === 200 && found;
      }).catch((error) => {
        throw new Error(`${error}\n${readFileSync(join(folder, 'log'), 'utf8')}`);
      });
      assert.equal(response.body, 'one');
      await synced(TypeUrl.cluster, TypeUrl.endpoint, TypeUrl.listener, TypeUrl.route);
      const [proxy] = ads.connections.all();
      assert.equal(proxy?.node.podName, 'pod-1');
      assert.equal(proxy?.node.namespace, 'shop');
      assert.equal(proxy?.node.envoyVersion?.major, 1);
      assert.equal(proxy?.node.identity, tls ? 'spiffe://cluster.local/ns/shop/sa/cart' : undefined);
      const row = syncStatus(proxy!);
      assert.equal(row.proxy, 'pod-1.shop');
      assert.equal(row.cluster_sent, row.cluster_acked);
      assert.equal(row.route_sent, row.route_acked);
    });

    it('follows endpoints without touching other types', async () => {
      const before = statusOf(TypeUrl.cluster)?.nonceSent;
      source.change({ [TypeUrl.endpoint]: { c: endpoints('c', two.port) } });
      await eventually('the other upstream', async () => (await ask(listenerPort)).body === 'two');
      assert.equal(statusOf(TypeUrl.cluster)?.nonceSent, before);
    });

    it('sends endpoints again when their cluster is replaced', async () => {
      source.change({
        [TypeUrl.cluster]: { c: cluster('c', '2s'), other: cluster('other') },
        [TypeUrl.endpoint]: { other: endpoints('other', two.port) },
      });
      const admin = () =>
        statusOf(TypeUrl.cluster)?.state === 'SYNCED' && statusOf(TypeUrl.endpoint)?.state === 'SYNCED';
      const failures: number[] = [];
      await eventually('the cluster', async () => {
        const { status } = await ask(listenerPort);
        if (status !== 200) failures.push(status);
        return admin();
      });
      // A route to it works only when the new cluster has warmed, which needs its endpoints.
      source.change({ [TypeUrl.endpoint]: { c: endpoints('c', one.port) } });
      await eventually('the first upstream', async () => (await ask(listenerPort)).body === 'one');
      assert.deepEqual(failures, []);
    });

    it('moves routes to a new cluster and takes the old one away without a failed request', async () => {
      let running = true;
      const statuses = new Map<number, number>();
      const load = (async () => {
        while (running) {
          const { status } = await ask(listenerPort);
          statuses.set(status, (statuses.get(status) ?? 0) + 1);
        }
      })();
      for (let round = 0; round < 10; round++) {
        const [from, to] = round % 2 === 0 ? ['c', 'd'] : ['d', 'c'];
        source.change({
          [TypeUrl.route]: { main: routes(to!) },
          [TypeUrl.endpoint]: { [from!]: undefined, [to!]: endpoints(to!, round % 2 === 0 ? two.port : one.port) },
          [TypeUrl.cluster]: { [from!]: undefined, [to!]: cluster(to!) },
        });
        await eventually(
          'the new route',
          async () => (await ask(listenerPort)).body === (round % 2 === 0 ? 'two' : 'one'),
        );
        await synced(TypeUrl.cluster, TypeUrl.endpoint, TypeUrl.route);
      }
      running = false;
      await load;
      // State of the world cannot add first and remove later; only the incremental protocol promises this.
      if (apiType === 'DELTA_GRPC') assert.deepEqual([...statuses.keys()], [200]);
    });

    it('keeps the last good listener when a new one is refused', async () => {
      source.change({
        [TypeUrl.listener]: {
          l: { ...listener('l', listenerPort, 'b'), filterChains: [{ filters: [{ name: 'no.such.filter' }] }] },
        },
      });
      await eventually('the rejection', () => statusOf(TypeUrl.listener)?.state === 'ERROR');
      const rejection = statusOf(TypeUrl.listener)?.rejection;
      assert.match(rejection?.message ?? '', /no\.such\.filter/);
      assert.deepEqual(rejection?.resources, ['l']);
      assert.match(registry.text(), /pilot_xds_lds_reject\{node="[^"]+",type="lds"\} 1/);
      const sent = statusOf(TypeUrl.listener)?.nonceSent;
      assert.equal((await ask(listenerPort)).status, 200);
      assert.equal(statusOf(TypeUrl.listener)?.nonceSent, sent);
      source.change({ [TypeUrl.listener]: { l: listener('l', listenerPort, 'c') } });
      await synced(TypeUrl.listener);
      await eventually('a response', async () => (await ask(listenerPort)).status === 200);
      assert.doesNotMatch(registry.text(), /pilot_xds_lds_reject\{/);
    });

    it('serves on without the control plane and reconnects to it', async () => {
      await server.close(200);
      assert.equal((await ask(listenerPort)).status, 200);
      assert.equal(source.openViews, 0);
      source.change({ [TypeUrl.endpoint]: { c: endpoints('c', two.port) } });
      await startServer(adsPort);
      await eventually('the change made meanwhile', async () => (await ask(listenerPort)).body === 'two');
      await synced(TypeUrl.cluster, TypeUrl.endpoint, TypeUrl.listener, TypeUrl.route);
      assert.equal(source.openViews, 1);
    });

    it('drops a removed listener', async () => {
      source.change({ [TypeUrl.listener]: { l: undefined } });
      await eventually('the port to close', () =>
        ask(listenerPort).then(
          () => false,
          () => true,
        ),
      );
    });
  });
}
