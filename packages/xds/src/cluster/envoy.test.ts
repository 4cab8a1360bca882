import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { promisify } from 'node:util';
import { decodeMeshConfig } from '@istio-ts/api';
import { generateOffline, typeUrls } from '../engine/index.ts';
import { application, istioObject, nodeObject, serviceObject } from '../testing/objects.ts';

const run = promisify(execFile);

/** Whether real Envoy takes a bootstrap: it prints OK (and may crash afterwards, see envoy-notes). */
async function accepts(bootstrap: unknown): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'istio-ts-validate-'));
  const file = join(folder, 'envoy.json');
  writeFileSync(file, JSON.stringify(bootstrap));
  try {
    const { stdout, stderr } = await run('envoy', ['--mode', 'validate', '--log-level', 'warning', '-c', file]);
    return stdout + stderr;
  } catch (error) {
    const { stdout, stderr } = error as { readonly stdout: string; readonly stderr: string };
    return stdout + stderr;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const host = (name: string): string => `${name}.default.svc.cluster.local`;
const policies: Readonly<Record<string, Record<string, unknown>>> = {
  plain: {},
  hash: { loadBalancer: { consistentHash: { httpHeaderName: 'x-user', ringHash: { minimumRingSize: 2048 } } } },
  maglev: { loadBalancer: { consistentHash: { useSourceIp: true, maglev: { tableSize: 65537 } } } },
  random: { loadBalancer: { simple: 'RANDOM' } },
  robin: { loadBalancer: { simple: 'ROUND_ROBIN', warmup: { duration: '30s', minimumPercent: 20, aggression: 2 } } },
  passthrough: { loadBalancer: { simple: 'PASSTHROUGH' } },
  pools: {
    connectionPool: {
      tcp: {
        maxConnections: 10,
        connectTimeout: '3s',
        tcpKeepalive: { probes: 3, time: '7200s', interval: '75s' },
        maxConnectionDuration: '1h',
      },
      http: {
        http1MaxPendingRequests: 5,
        http2MaxRequests: 50,
        maxRequestsPerConnection: 7,
        maxRetries: 2,
        idleTimeout: '30s',
        h2UpgradePolicy: 'UPGRADE',
        maxConcurrentStreams: 100,
        http2KeepAlive: { interval: '10s', timeout: '5s' },
      },
    },
    retryBudget: { percent: 25, minRetryConcurrency: 4 },
  },
  outliers: {
    outlierDetection: {
      consecutive5xxErrors: 5,
      consecutiveGatewayErrors: 0,
      interval: '30s',
      baseEjectionTime: '1m',
      maxEjectionPercent: 50,
      minHealthPercent: 30,
      splitExternalLocalOriginErrors: true,
      consecutiveLocalOriginFailures: 3,
    },
    loadBalancer: { simple: 'LEAST_REQUEST', localityLbSetting: { enabled: true, failover: [{ from: 'a', to: 'b' }] } },
  },
  distribute: {
    loadBalancer: {
      localityLbSetting: { enabled: true, distribute: [{ from: 'a/*', to: { 'a/1/*': 80, 'b/*': 20 } }] },
    },
  },
  simple: { tls: { mode: 'SIMPLE', sni: 'example.com', subjectAltNames: ['example.com', '10.0.0.1'] } },
  automatic: { tls: { mode: 'SIMPLE' } },
  unverified: { tls: { mode: 'SIMPLE', insecureSkipVerify: true } },
  credential: { tls: { mode: 'MUTUAL', credentialName: 'client' } },
  mutual: { tls: { mode: 'ISTIO_MUTUAL' } },
  disabled: { tls: { mode: 'DISABLE' } },
  proxied: { proxyProtocol: { version: 'V2' } },
  client: { connectionPool: { http: { useClientProtocol: true } } },
  ports: { portLevelSettings: [{ port: { number: 80 }, loadBalancer: { simple: 'ROUND_ROBIN' } }] },
};

const protocols = ['http', 'http2', 'grpc', 'grpc-web', 'tcp', 'https', 'auto', 'redis'];

const objects = [
  nodeObject('node-1', 'a', '1'),
  nodeObject('node-2', 'b', '1'),
  ...Object.entries(policies).flatMap(([name, trafficPolicy], i) => [
    ...application(name, { name: i % 2 ? 'grpc' : 'http', port: 80 }, [{ version: 'v1' }, { version: 'v2' }], {
      base: i + 1,
      nodes: ['node-1', 'node-2'],
    }),
    istioObject(
      'DestinationRule',
      { name },
      {
        host: name,
        ...(Object.keys(trafficPolicy).length > 0 && { trafficPolicy }),
        subsets: [
          { name: 'v1', labels: { version: 'v1' } },
          { name: 'v2', labels: { version: 'v2' }, trafficPolicy: { loadBalancer: { simple: 'RANDOM' } } },
        ],
      },
    ),
  ]),
  ...protocols.flatMap((name, i) =>
    application(`p-${name}`, { name: name === 'auto' ? 'web' : name, port: 8000 + i }, [{}], { base: 50 + i }),
  ),
  serviceObject({ name: 'headless' }, [{ name: 'tcp', port: 5432 }], { clusterIP: 'None', clusterIPs: ['None'] }),
  serviceObject({ name: 'outside' }, [{ name: 'http', port: 80 }], {
    type: 'ExternalName',
    externalName: 'example.com',
    clusterIP: '',
    clusterIPs: [],
    selector: {},
  }),
  istioObject(
    'ServiceEntry',
    { name: 'dns' },
    {
      hosts: ['api.example.com'],
      ports: [{ number: 443, name: 'tls', protocol: 'TLS' }],
      resolution: 'DNS',
    },
  ),
  istioObject(
    'ServiceEntry',
    { name: 'rr' },
    {
      hosts: ['rr.example.com'],
      ports: [{ number: 80, name: 'http', protocol: 'HTTP', targetPort: 8080 }],
      resolution: 'DNS_ROUND_ROBIN',
    },
  ),
  istioObject(
    'ServiceEntry',
    { name: 'machines' },
    {
      hosts: ['vm.example.com'],
      addresses: ['240.0.0.7'],
      ports: [{ number: 80, name: 'http', protocol: 'HTTP' }],
      location: 'MESH_INTERNAL',
      resolution: 'STATIC',
      endpoints: [
        {
          address: '10.1.2.3',
          ports: { http: 8080 },
          serviceAccount: 'vm',
          locality: 'a/1/x',
          weight: 3,
          labels: { version: 'v1' },
        },
        { address: 'unix:///run/app.sock' },
      ],
    },
  ),
  istioObject(
    'ServiceEntry',
    { name: 'any' },
    {
      hosts: ['*.anywhere.example'],
      ports: [{ number: 443, name: 'tls', protocol: 'TLS' }],
      resolution: 'NONE',
    },
  ),
];

const proxies = [
  { type: 'sidecar', name: 'plain-0', namespace: 'default', locality: { region: 'a', zone: '1', subzone: '' } },
  { type: 'router', name: 'gateway', namespace: 'istio-system', labels: { istio: 'ingressgateway' } },
] as const;

describe('clusters and endpoints in real Envoy', () => {
  for (const proxy of proxies) {
    it(`are accepted, for a ${proxy.type}`, async () => {
      const { resources, problems, errors } = generateOffline(objects, proxy, {
        meshConfig: decodeMeshConfig({ tcpKeepalive: { time: '60s' }, dnsRefreshRate: '5s' }).value,
      });
      assert.deepEqual(problems, []);
      assert.deepEqual(errors, []);
      const clusters = (resources.get(typeUrls.cluster) ?? []).map((one) => one.json() as Record<string, unknown>);
      const assignments = (resources.get(typeUrls.endpoint) ?? []).map(
        (one) => one.json() as { readonly clusterName: string },
      );
      assert.ok(clusters.length > 60);
      const names = new Set(assignments.map((one) => one.clusterName));
      // Every EDS cluster has its endpoints and no other.
      assert.deepEqual(new Set(clusters.filter((one) => one.type === 'EDS').map((one) => one.name)), names);
      const output = await accepts({
        node: { id: 'test', cluster: 'test' },
        dynamicResources: {
          adsConfig: {
            apiType: 'GRPC',
            transportApiVersion: 'V3',
            grpcServices: [{ envoyGrpc: { clusterName: 'xds-grpc' } }],
          },
        },
        staticResources: {
          clusters: [
            ...['xds-grpc', 'sds-grpc'].map((name) => ({
              name,
              type: 'STATIC',
              typedExtensionProtocolOptions: {
                'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
                  '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
                  explicitHttpConfig: { http2ProtocolOptions: {} },
                },
              },
            })),
            ...clusters,
            ...assignments.map((loadAssignment, i) => ({ name: `endpoints-${i}`, type: 'STATIC', loadAssignment })),
          ],
        },
      });
      assert.match(output, /OK/);
      // Fields that Envoy is about to drop are reported; those of DNS are kept on purpose.
      const deprecated = [...output.matchAll(/deprecated option '([^']+)'/g)].map((match) => match[1]);
      assert.deepEqual([...new Set(deprecated)].sort(), [
        'envoy.config.cluster.v3.Cluster.dns_refresh_rate',
        'envoy.config.cluster.v3.Cluster.respect_dns_ttl',
      ]);
    });
  }

  it('have the endpoints of their subsets, split by locality where that is asked for', () => {
    const { resources } = generateOffline(objects, proxies[0]);
    const endpoints = new Map(
      resources.get(typeUrls.endpoint)?.map((one) => [one.name, one.json() as never as Assignment]),
    );
    interface Assignment {
      readonly endpoints?: readonly {
        readonly locality?: { readonly region?: string };
        readonly priority?: number;
        readonly loadBalancingWeight?: number;
        readonly lbEndpoints: readonly {
          readonly endpoint: { readonly address: { readonly socketAddress: { readonly address: string } } };
        }[];
      }[];
    }
    const shape = (name: string) =>
      endpoints
        .get(name)
        ?.endpoints?.map((group) => [
          group.locality?.region,
          group.priority ?? 0,
          group.loadBalancingWeight,
          group.lbEndpoints.map((one) => one.endpoint.address.socketAddress.address).length,
        ]);
    assert.deepEqual(shape(`outbound|80||${host('plain')}`), [
      ['a', 0, 1, 1],
      ['b', 0, 1, 1],
    ]);
    assert.deepEqual(shape(`outbound|80|v2|${host('plain')}`), [['b', 0, 1, 1]]);
    assert.deepEqual(shape(`outbound|80||${host('outliers')}`), [
      ['a', 0, 1, 1],
      ['b', 1, 1, 1],
    ]);
    assert.deepEqual(shape(`outbound|80||${host('distribute')}`), [
      ['a', 0, 8000, 1],
      ['b', 0, 2000, 1],
    ]);
  });
});
