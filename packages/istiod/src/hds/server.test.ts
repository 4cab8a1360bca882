import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, describe, it } from 'node:test';
import { istioTypes } from '@istio-ts/api/resource-types';
import { type Cluster, encode } from '@istio-ts/envoy';
import { createGrpcServer, openGrpcChannel } from '@istio-ts/envoy/grpc';
import { withoutEnvoy } from '@istio-ts/envoy/testing/binary';
import { eventually } from '@istio-ts/envoy/testing/eventually';
import { localCluster, runEnvoy } from '@istio-ts/envoy/testing/run-envoy';
import {
  createCsr,
  createRootCertificate,
  exportPrivateKey,
  generatePrivateKey,
  loadAuthority,
  P256,
} from '@istio-ts/security';
import { istioObject } from '@istio-ts/xds/testing/objects';
import { createWorkloadRegistration } from '../controllers/workload-registration.ts';
import { FakeCluster } from '../fake-cluster.test-support.ts';
import { checksOf, reportedHealth } from './health-checks.ts';
import { HEALTH_CHECK_METHOD, healthDiscovery } from './server.ts';
import { silent } from '../silent-log.test-support.ts';

const cleanups: (() => unknown)[] = [];
after(async () => {
  for (const cleanup of cleanups.reverse()) await cleanup();
});

const authority = loadAuthority(createRootCertificate({ organization: 'cluster.local', now: new Date() }));
function identityOf(serviceAccount: string) {
  const key = generatePrivateKey(P256);
  const { chain } = authority.sign({
    csr: createCsr(key, []),
    identity: { trustDomain: 'cluster.local', namespace: 'default', serviceAccount },
    now: new Date(),
  });
  return { chain, key: exportPrivateKey(key) };
}

/** istiod's part: the service on an encrypted port, and what it makes of health. */
async function startIstiod(cluster: FakeCluster) {
  const registration = createWorkloadRegistration(
    cluster.client,
    { controller: 'istiod-1', graceMs: 1000, register: true, healthChecks: true, now: () => new Date() },
    silent,
  );
  const own = authority.issueServer({ dnsNames: ['istiod.istio-system.svc'], now: new Date() });
  const server = createGrpcServer({
    methods: healthDiscovery({
      authentication: { trustDomain: 'cluster.local' },
      groups: (namespace, name) => cluster.client.get(istioTypes.WorkloadGroup, name, namespace),
      onHealth: registration.health,
      log: silent,
      refreshMs: 100,
    }),
    tls: { key: own.key, cert: own.chain, ca: authority.root },
  });
  const { port } = (await server.listen({ host: '127.0.0.1', port: 0 })) as AddressInfo;
  cleanups.push(
    () => registration.close(),
    () => server.close(100),
  );
  return { registration, port };
}

const groupWith = (probe: object) =>
  istioObject('WorkloadGroup', { name: 'machine' }, { template: { serviceAccount: 'machine' }, probe });

describe('health discovery', () => {
  it('has a real Envoy check its workload, and writes what it finds out into the WorkloadEntry', {
    skip: withoutEnvoy,
  }, async () => {
    let status = 503;
    const seen: string[] = [];
    const application = createServer((request, response) => {
      seen.push(`${request.url} ${request.headers['x-probe']}`);
      response.writeHead(request.url === '/other' ? 200 : status).end();
    });
    await new Promise<void>((resolve) => application.listen(0, '127.0.0.1', resolve));
    cleanups.push(() => {
      application.closeAllConnections();
      application.close();
    });
    const { port: target } = application.address() as AddressInfo;
    const cluster = new FakeCluster();
    const probe = (path: string) => ({
      periodSeconds: 1,
      failureThreshold: 1,
      httpGet: { path, port: target, httpHeaders: [{ name: 'x-probe', value: 'of the group' }] },
    });
    cluster.put(istioTypes.WorkloadGroup, groupWith(probe('/ready')));
    cluster.put(
      istioTypes.WorkloadEntry,
      istioObject('WorkloadEntry', { name: 'machine-127.0.0.1' }, { address: '127.0.0.1' }),
    );
    const { port } = await startIstiod(cluster);
    const { chain, key } = identityOf('machine');
    const istiod: Cluster = {
      ...localCluster('xds-grpc', [port], true),
      transportSocket: {
        name: 'envoy.transport_sockets.tls',
        typedConfig: {
          '@type': 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext',
          sni: 'istiod.istio-system.svc',
          commonTlsContext: {
            alpnProtocols: ['h2'],
            tlsCertificates: [{ certificateChain: { inlineString: chain }, privateKey: { inlineString: key } }],
            validationContext: { trustedCa: { inlineString: authority.root } },
          },
        },
      },
    };
    const envoy = await runEnvoy({
      node: {
        id: 'sidecar~127.0.0.1~machine.default~default.svc.cluster.local',
        cluster: 'machine',
        metadata: { AUTO_REGISTER_GROUP: 'machine', SERVICE_ACCOUNT: 'machine', NAMESPACE: 'default' },
      },
      hdsConfig: {
        apiType: 'GRPC',
        transportApiVersion: 'V3',
        grpcServices: [{ envoyGrpc: { clusterName: 'xds-grpc' } }],
      },
      staticResources: { clusters: [istiod] },
    });
    cleanups.push(() => envoy.stop());
    const health = async (wanted: string): Promise<void> => {
      await eventually(`health ${wanted}\n${envoy.log()}`, async () => {
        const entry = await cluster.client.get(istioTypes.WorkloadEntry, 'machine-127.0.0.1', 'default');
        const { conditions = [] } = (entry.status ?? {}) as {
          conditions?: readonly { type: string; status: string }[];
        };
        return conditions.some(({ type, status: is }) => type === 'Healthy' && is === wanted);
      });
    };
    await health('False');
    assert.equal(seen[0], '/ready of the group');
    status = 200;
    await health('True');
    status = 503;
    await health('False');
    // Another probe of the group takes effect while the stream lasts.
    cluster.put(istioTypes.WorkloadGroup, groupWith(probe('/other')));
    await health('True');
    assert.ok(seen.includes('/other of the group'));
  });

  it('believes nobody who has not proved who he is', async () => {
    const cluster = new FakeCluster();
    const { port } = await startIstiod(cluster);
    const ask = async (identity: { readonly chain: string; readonly key: string } | undefined): Promise<void> => {
      const channel = openGrpcChannel({
        kind: 'tls',
        host: '127.0.0.1',
        port,
        serverName: 'istiod.istio-system.svc',
        tls: { ca: authority.root, ...(identity && { cert: identity.chain, key: identity.key }) },
      });
      try {
        const stream = await channel.stream(HEALTH_CHECK_METHOD);
        await stream.write(
          encode('envoy.service.health.v3.HealthCheckRequestOrEndpointHealthResponse', {
            healthCheckRequest: {
              node: {
                id: 'sidecar~127.0.0.1~machine.default~default.svc.cluster.local',
                metadata: { SERVICE_ACCOUNT: 'machine' },
              },
            },
          }),
        );
        for await (const _ of stream.messages());
      } finally {
        channel.close();
      }
    };
    await assert.rejects(ask(undefined), { status: 'UNAUTHENTICATED' });
    await assert.rejects(ask(identityOf('other')), { status: 'UNAUTHENTICATED' });
  });
});

describe('health checks of a group', () => {
  it('are those of its probe', () => {
    const http = checksOf({ httpGet: { path: '/r', port: 80, scheme: 'HTTPS' }, timeoutSeconds: 3 }, '10.0.0.1');
    assert.ok(http.kind === 'specifier');
    const [check] = http.specifier.clusterHealthChecks ?? [];
    const [first] = check?.healthChecks ?? [];
    assert.deepEqual(
      [
        first?.timeout,
        first?.interval,
        first?.healthyThreshold,
        first?.unhealthyThreshold,
        first?.httpHealthCheck?.path,
      ],
      ['3s', '10s', 1, 3, '/r'],
    );
    assert.equal(check?.transportSocketMatches?.length, 1);
    const tcp = checksOf({ tcpSocket: { port: 81, host: '10.0.0.2' } }, '10.0.0.1');
    assert.ok(tcp.kind === 'specifier');
    assert.match(JSON.stringify(tcp.specifier), /"address":"10\.0\.0\.2","portValue":81/);
    assert.equal(checksOf({ exec: {} }, '10.0.0.1').kind, 'impossible');
    assert.equal(checksOf({ grpc: { port: 1 } }, '10.0.0.1').kind, 'impossible');
  });

  it('make one health of all endpoints of a report', () => {
    const report = (...all: readonly ('HEALTHY' | 'UNHEALTHY' | 'TIMEOUT')[]) =>
      reportedHealth({
        clusterEndpointsHealth: [
          {
            clusterName: 'workload',
            localityEndpointsHealth: [{ endpointsHealth: all.map((healthStatus) => ({ healthStatus })) }],
          },
        ],
      });
    assert.deepEqual(report('HEALTHY'), { healthy: true, message: '' });
    assert.equal(report('HEALTHY', 'UNHEALTHY')?.healthy, false);
    assert.match(report('TIMEOUT')?.message ?? '', /does not answer in time/);
    assert.equal(report(), undefined);
  });
});
