import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { eventually } from '../testing/envoy.ts';
import { call } from '../testing/http-call.ts';
import { type Sample, samples, scrape } from '../testing/metrics.ts';
import { exchange, type MeshLab, PORTS, type Reporting, startMeshLab } from './mesh-metrics.test-support.ts';
import { messagesTo, NOBODY, SERVER as serverWithout } from './metrics.test-support.ts';

/**
 * Every label of every standard metric as real Envoys report it of known traffic: a sidecar, the sidecar of the service that it calls over mutual TLS, and
 * a gateway. Each label of a workload has a value of its own, so that none can stand in the place of another.
 */

let lab: MeshLab;
before(async () => {
  lab = await startMeshLab();
});
after(() => lab?.close());

type Labels = Readonly<Record<string, string>>;
type Protocol = 'http' | 'grpc' | 'tcp';

/** What one proxy reports of an act; `counts` are the values of counters, by metric. */
interface Report {
  readonly by: Reporting;
  readonly labels: Labels;
  readonly counts: Readonly<Record<string, number>>;
}

interface Case {
  readonly protocol: Protocol;
  readonly act: () => Promise<unknown>;
  readonly gives: unknown;
  readonly reports: readonly Report[];
}

const HISTOGRAMS = ['istio_request_duration_milliseconds', 'istio_request_bytes', 'istio_response_bytes'];
const METRICS: Readonly<Record<Protocol, readonly string[]>> = {
  http: ['istio_requests_total', ...HISTOGRAMS.map((name) => `${name}_count`)],
  grpc: [
    'istio_requests_total',
    ...HISTOGRAMS.map((name) => `${name}_count`),
    'istio_request_messages_total',
    'istio_response_messages_total',
  ],
  tcp: [
    'istio_tcp_connections_opened_total',
    'istio_tcp_connections_closed_total',
    'istio_tcp_sent_bytes_total',
    'istio_tcp_received_bytes_total',
  ],
};

const identity = (namespace: string, account: string) => `spiffe://cluster.local/ns/${namespace}/sa/${account}`;
const SOURCES = {
  client: {
    source_workload: 'client',
    source_workload_namespace: 'default',
    source_app: 'storefront',
    source_version: 'v2',
    source_canonical_service: 'web-shop',
    source_canonical_revision: '7-3',
    source_cluster: 'Kubernetes',
  },
  gateway: {
    source_workload: 'ingress',
    source_workload_namespace: 'istio-system',
    source_app: 'ingress',
    source_version: 'unknown',
    source_canonical_service: 'ingress',
    source_canonical_revision: 'latest',
    source_cluster: 'Kubernetes',
  },
} as const;
const PRINCIPALS = { client: identity('default', 'client'), gateway: identity('istio-system', 'ingress') } as const;
const CATALOG = {
  destination_workload: 'catalog',
  destination_workload_namespace: 'shop',
  destination_app: 'catalog',
  destination_version: 'v1',
  destination_canonical_service: 'catalog-api',
  destination_canonical_revision: 'r7',
  destination_cluster: 'Kubernetes',
  destination_service: 'catalog.shop.svc.cluster.local',
  destination_service_name: 'catalog',
  destination_service_namespace: 'shop',
};
const service = (host: string, name: string, namespace: string) => ({
  destination_service: host,
  destination_service_name: name,
  destination_service_namespace: namespace,
});
const answered = (code: string, flags = '-', status = '') => ({
  response_code: code,
  response_flags: flags,
  grpc_response_status: status,
});
const UNSECURED = { source_principal: 'unknown', destination_principal: 'unknown' };

/** What both ends report of something that a client sends to the catalogue over mutual TLS. */
const toCatalog = (from: 'client' | 'gateway', labels: Labels, counts: Report['counts']): readonly Report[] => {
  const common = {
    ...SOURCES[from],
    ...CATALOG,
    source_principal: PRINCIPALS[from],
    destination_principal: identity('shop', 'catalog'),
    ...labels,
  };
  return [
    { by: from, labels: { reporter: 'source', connection_security_policy: 'unknown', ...common }, counts },
    { by: 'server', labels: { reporter: 'destination', connection_security_policy: 'mutual_tls', ...common }, counts },
  ];
};
const toOutside = (labels: Labels, counts: Report['counts']): readonly Report[] => [
  {
    by: 'client',
    labels: { reporter: 'source', connection_security_policy: 'unknown', ...SOURCES.client, ...UNSECURED, ...labels },
    counts,
  },
];
const fromStranger = (labels: Labels, counts: Report['counts']): readonly Report[] => [
  {
    by: 'server',
    labels: {
      reporter: 'destination',
      connection_security_policy: 'none',
      ...NOBODY('source'),
      ...UNSECURED,
      ...CATALOG,
      ...labels,
    },
    counts,
  },
];

const once = { istio_requests_total: 1 };
const streamed = (sent: number) => ({
  ...once,
  istio_request_messages_total: sent,
  istio_response_messages_total: 2 * sent,
});
const connected = (received: string, sent: string) => ({
  istio_tcp_connections_opened_total: 1,
  istio_tcp_connections_closed_total: 1,
  istio_tcp_received_bytes_total: received.length,
  istio_tcp_sent_bytes_total: sent.length,
});
const get = async (path: string, address: string, port: number, host: string): Promise<number> =>
  (await call(path, { address, port, host })).status;
const outbound = (port: number) => ({ address: lab.net.everywhere, port });
const tcp = { request_protocol: 'tcp', response_flags: '-' };
const grpc = (status: string) => ({ request_protocol: 'grpc', ...answered('200', '-', status) });

/** A request to one of the services at which something goes wrong. */
const faulty = (host: string, code: number, flags: string, destination: Labels, path = '/'): Case => ({
  protocol: 'http',
  act: () => get(path, lab.net.everywhere, PORTS.faulty, host),
  gives: code,
  reports: toOutside({ ...destination, request_protocol: 'http', ...answered(String(code), flags) }, once),
});
const unserved = (name: string) => ({
  ...NOBODY('destination'),
  ...service(`${name}.default.svc.cluster.local`, name, 'default'),
});
/** A server outside the mesh, whose pod is known. */
const podOf = (name: string): Labels => serverWithout(name);
const partner = { ...NOBODY('destination'), ...service('api.partner.example', 'api.partner.example', 'default') };

const CASES: Readonly<Record<string, Case>> = {
  'HTTP from sidecar to sidecar': {
    protocol: 'http',
    act: () => get('/status/418', lab.net.everywhere, PORTS.http, 'catalog.shop'),
    gives: 418,
    reports: toCatalog('client', { request_protocol: 'http', ...answered('418') }, once),
  },
  'gRPC from sidecar to sidecar': {
    protocol: 'grpc',
    act: () => messagesTo(outbound(PORTS.grpc), 'catalog.shop', 3, { 'x-status': '5' }),
    gives: 6,
    reports: toCatalog('client', grpc('5'), streamed(3)),
  },
  'TCP from sidecar to sidecar': {
    protocol: 'tcp',
    act: () => exchange(lab.net.ip(60), PORTS.tcp, 'ping'),
    gives: 'tcp#1:ping',
    reports: toCatalog('client', tcp, connected('ping', 'tcp#1:ping')),
  },
  'HTTP of a client without a proxy': {
    protocol: 'http',
    act: () => get('/status/201', lab.catalog.address, lab.catalog.http, 'catalog.shop'),
    gives: 201,
    reports: fromStranger({ request_protocol: 'http', ...answered('201') }, once),
  },
  'gRPC of a client without a proxy': {
    protocol: 'grpc',
    act: () => messagesTo({ address: lab.catalog.address, port: lab.catalog.grpc }, 'catalog.shop', 1),
    gives: 2,
    reports: fromStranger(grpc('0'), streamed(1)),
  },
  'TCP of a client without a proxy': {
    protocol: 'tcp',
    act: () => exchange(lab.catalog.address, lab.catalog.tcp, 'plain'),
    gives: 'tcp#2:plain',
    reports: fromStranger(tcp, connected('plain', 'tcp#2:plain')),
  },
  'HTTP through the gateway': {
    protocol: 'http',
    act: () => get('/status/202', lab.net.everywhere, lab.gateway.http, 'shop.example'),
    gives: 202,
    reports: toCatalog('gateway', { request_protocol: 'http', ...answered('202') }, once),
  },
  'gRPC through the gateway': {
    protocol: 'grpc',
    act: () => messagesTo(outbound(lab.gateway.http), 'shop.example', 2, { 'x-status': '16' }),
    gives: 4,
    reports: toCatalog('gateway', grpc('16'), streamed(2)),
  },
  'TCP through the gateway': {
    protocol: 'tcp',
    act: () => exchange(lab.net.everywhere, lab.gateway.tcp, 'hello'),
    gives: 'tcp#3:hello',
    reports: toCatalog('gateway', tcp, connected('hello', 'tcp#3:hello')),
  },
  'HTTP to a ServiceEntry outside the mesh': {
    protocol: 'http',
    act: () => get('/status/203', lab.net.everywhere, PORTS.egress, 'api.partner.example'),
    gives: 203,
    reports: toOutside({ ...partner, request_protocol: 'http', ...answered('203') }, once),
  },
  'TCP to a ServiceEntry outside the mesh': {
    protocol: 'tcp',
    act: () => exchange(lab.net.ip(62), PORTS.egressTcp, 'ping'),
    gives: 'outside#2:ping',
    reports: toOutside({ ...partner, ...tcp }, connected('ping', 'outside#2:ping')),
  },
  'a timeout': faulty('slow', 504, 'UT', podOf('slow'), '/delay/3000'),
  'an injected answer': faulty('aborted', 555, 'FI', unserved('aborted')),
  'an injected delay': faulty('delayed', 200, 'DI', podOf('delayed')),
  'a service without endpoints': faulty('empty', 503, 'UH', unserved('empty')),
  'a server that is not there': faulty('gone', 503, 'UF', podOf('gone')),
};

/** Labels by which the reports of the cases are told apart. */
const KEYS = ['reporter', 'source_workload', 'destination_service', 'request_protocol', 'response_code'];
const isOf = ({ labels: wanted }: Report, { labels }: Sample): boolean =>
  KEYS.every((key) => labels[key] === wanted[key]);

// Histograms are brought together every few seconds, so all is sent before anything is looked at.
test('the traffic', async () => {
  for (const [name, { act, gives }] of Object.entries(CASES)) assert.equal(await act(), gives, name);
});

for (const [name, { protocol, reports }] of Object.entries(CASES))
  test(name, async () => {
    for (const report of reports)
      for (const metric of METRICS[protocol]) {
        const count = report.counts[metric] ?? 1;
        const { labels } = await eventually(
          async () =>
            samples(await scrape(lab.proxies[report.by])).find(
              (one) => one.name === metric && isOf(report, one) && one.value === count,
            ),
          `${count} of ${metric} of ${report.by}`,
        );
        assert.deepEqual(labels, report.labels, `${metric} of ${report.by}`);
      }
  });

test('nothing else was reported', async () => {
  const all = Object.values(CASES).flatMap(({ protocol, reports }) =>
    reports.flatMap(({ by }) => METRICS[protocol].map((metric) => `${by} ${metric}`)),
  );
  const found: string[] = [];
  for (const by of Object.keys(lab.proxies) as Reporting[])
    for (const { name } of samples(await scrape(lab.proxies[by])))
      if (Object.values(METRICS).flat().includes(name)) found.push(`${by} ${name}`);
  assert.deepEqual(found.sort(), all.sort());
});
