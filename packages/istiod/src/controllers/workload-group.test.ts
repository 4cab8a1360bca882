import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer as createHttpServer, type Server as HttpServer } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join as joinPath } from 'node:path';
import { after, before, test } from 'node:test';
import * as grpc from '@grpc/grpc-js';
import { istioTypes } from '@istio-ts/api/resource-types';
import type { KubeObject } from '@istio-ts/kube';
import { requireEnvoy } from '@istio-ts/envoy/testing/binary';
import type { ProxyNode } from '@istio-ts/xds';
import { proves } from '@istio-ts/xds/field-proof';
import { selfSigned } from '@istio-ts/xds/testing/certificate';
import { call } from '@istio-ts/xds/testing/http-call';
import { istioObject } from '@istio-ts/xds/testing/objects';
import { LoopbackNet } from '@istio-ts/xds/testing/offline-envoy';
import { type Origin, startOrigin } from '@istio-ts/xds/testing/origin';
import { readHealthProbe, watchHealth } from '../../../agent/src/discovery/health.ts';
import { eventually } from '@istio-ts/envoy/testing/eventually';
import { OWN_AGENT, type RunningAgent, startAgent } from '../clients/agent.test-support.ts';
import { type ControlPlane, startControlPlane } from '../clients/control-plane.test-support.ts';
import { silent } from '../silent-log.test-support.ts';
import { FakeCluster } from '../fake-cluster.test-support.ts';
import { createWorkloadRegistration, type WorkloadRegistration } from './workload-registration.ts';

/**
 * Machines that join a WorkloadGroup: the agent's checker asks the application as the group's `probe` says (which `istioctl experimental workload entry
 * configure` gives the agent), istiod writes the answer into the WorkloadEntry, and a client reaches the machine through its Envoy or does not.
 */

const net = new LoopbackNet();
const PORT = 9700;
const TARGET = 8080;
const PROBE_PORT = 8081;
/** Where probes go that name a host, and where all others do: to the machine itself. */
const ELSEWHERE = net.ip(50);
const folder = mkdtempSync(joinPath(tmpdir(), 'workload-group-'));
const healthy = joinPath(folder, 'healthy');

interface Group {
  readonly probe?: object;
  readonly annotations?: Readonly<Record<string, string>>;
}
const every = { periodSeconds: 1, failureThreshold: 1 };
const groups: Readonly<Record<string, Group>> = {
  machine: { probe: { ...every, httpGet: { path: '/ready', port: PROBE_PORT } } },
  secure: {
    probe: {
      ...every,
      httpGet: {
        path: '/ready',
        port: PROBE_PORT + 1,
        host: ELSEWHERE,
        scheme: 'HTTPS',
        httpHeaders: [{ name: 'x-probe', value: 'of the group' }],
      },
    },
  },
  unmarked: {
    probe: { ...every, httpGet: { path: '/ready', port: PROBE_PORT + 1, host: ELSEWHERE, scheme: 'HTTPS' } },
  },
  tcp: { probe: { ...every, tcpSocket: { port: PROBE_PORT + 2, host: ELSEWHERE } } },
  exec: { probe: { ...every, exec: { command: ['test', '-e', healthy] } } },
  grpc: { probe: { ...every, grpc: { port: PROBE_PORT + 3, service: 'shop' } } },
  stranger: { probe: { ...every, grpc: { port: PROBE_PORT + 3, service: 'other' } } },
  patient: {
    probe: {
      periodSeconds: 1,
      successThreshold: 3,
      failureThreshold: 2,
      httpGet: { path: '/patient', port: PROBE_PORT },
    },
  },
  late: { probe: { initialDelaySeconds: 2, periodSeconds: 1, httpGet: { path: '/late', port: PROBE_PORT } } },
  seldom: { probe: { periodSeconds: 600, httpGet: { path: '/seldom', port: PROBE_PORT } } },
  hasty: { probe: { ...every, timeoutSeconds: 1, httpGet: { path: '/slow', port: PROBE_PORT } } },
  calm: { probe: { ...every, timeoutSeconds: 20, httpGet: { path: '/slow', port: PROBE_PORT } } },
  announced: { annotations: { 'proxy.istio.io/health-checks-enabled': 'true' } },
};
const names = Object.keys(groups);
const ipOf = (name: string): string => net.ip(1 + names.indexOf(name));

const workloadGroup = (name: string, { probe, annotations }: Group): KubeObject =>
  istioObject(
    'WorkloadGroup',
    { name },
    {
      metadata: { labels: { member: name }, ...(annotations && { annotations }) },
      template: { serviceAccount: 'machine' },
      ...(probe && { probe }),
    },
  );
const nodeOf = (name: string): ProxyNode => ({
  id: `sidecar~${ipOf(name)}~${name}.default~default.svc.cluster.local`,
  cluster: name,
  type: 'sidecar',
  ipAddress: ipOf(name),
  podName: name,
  namespace: 'default',
  dnsDomain: 'default.svc.cluster.local',
  locality: { region: '', zone: '', subzone: '' },
  metadata: { AUTO_REGISTER_GROUP: name },
  envoyVersion: undefined,
  identity: 'spiffe://cluster.local/ns/default/sa/machine',
});

const cluster = new FakeCluster();
const cleanups: (() => void | Promise<void>)[] = [];
const origins = new Map<string, Origin>();
/** Paths at which the applications were asked, in order. */
const probes: string[] = [];
const failing = new Set<string>();
let registration: WorkloadRegistration;
let controlPlane: ControlPlane;
let agent: RunningAgent;
let tcp: Server;
let serving = true;
/** How often the patient one had been asked when it counted as healthy. */
let firstGood: Promise<number>;

const listen = (server: Server | HttpServer, port: number, address: string): Promise<void> =>
  new Promise((resolve) => server.listen(port, address, () => resolve()));

async function startApplications(): Promise<void> {
  for (const name of names) {
    origins.set(name, await startOrigin(name, ipOf(name), TARGET));
    if (!JSON.stringify(groups[name]).includes(`"port":${PROBE_PORT}}`)) continue;
    const server = createHttpServer((request, response) => {
      const path = request.url ?? '';
      probes.push(path);
      setTimeout(() => response.writeHead(failing.has(path) ? 503 : 200).end(), path === '/slow' ? 1500 : 0);
    });
    await listen(server, PROBE_PORT, ipOf(name));
    cleanups.push(() => void server.close());
  }
  const pair = selfSigned('probe.test');
  const secure = createHttpsServer({ cert: pair.certificate, key: pair.key }, ({ url, headers }, response) => {
    const good = url === '/ready' && headers['x-probe'] === 'of the group' && !failing.has('secure');
    response.writeHead(good ? 200 : 403).end();
  });
  await listen(secure, PROBE_PORT + 1, ELSEWHERE);
  tcp = createServer((socket) => socket.end());
  await listen(tcp, PROBE_PORT + 2, ELSEWHERE);
  writeFileSync(healthy, '');
  const health = new grpc.Server();
  const bytes = { serialize: (value: Buffer) => value, deserialize: (value: Buffer) => value };
  health.addService(
    {
      check: {
        path: '/grpc.health.v1.Health/Check',
        requestStream: false,
        responseStream: false,
        requestSerialize: bytes.serialize,
        requestDeserialize: bytes.deserialize,
        responseSerialize: bytes.serialize,
        responseDeserialize: bytes.deserialize,
      },
    },
    {
      // HealthCheckRequest has the service's name as field 1, the answer 1 (SERVING) or 2 (NOT_SERVING).
      check: (asked: grpc.ServerUnaryCall<Buffer, Buffer>, done: grpc.sendUnaryData<Buffer>) =>
        done(null, Buffer.of(0x08, serving && asked.request.subarray(2).toString() === 'shop' ? 1 : 2)),
    },
  );
  for (const name of ['grpc', 'stranger'])
    await new Promise<void>((resolve, reject) => {
      health.bindAsync(`${ipOf(name)}:${PROBE_PORT + 3}`, grpc.ServerCredentials.createInsecure(), (error) =>
        error ? reject(error) : resolve(),
      );
    });
  cleanups.push(
    () => health.forceShutdown(),
    () => void secure.close(),
    () => void tcp.close(),
    async () => void (await Promise.all([...origins.values()].map((origin) => origin.close()))),
  );
}

before(async () => {
  await startApplications();
  for (const [name, group] of Object.entries(groups)) cluster.put(istioTypes.WorkloadGroup, workloadGroup(name, group));
  registration = createWorkloadRegistration(
    cluster.client,
    { controller: 'istiod-1', graceMs: 1000, register: true, healthChecks: true, now: () => new Date() },
    silent,
  );
  controlPlane = await startControlPlane(
    [
      ...names.map((name) =>
        istioObject(
          'ServiceEntry',
          { name },
          {
            hosts: [`${name}.example`],
            ports: [{ number: PORT, name: 'http', protocol: 'HTTP', targetPort: TARGET }],
            resolution: 'STATIC',
            workloadSelector: { labels: { member: name } },
          },
        ),
      ),
      istioObject(
        'Sidecar',
        { name: 'default' },
        {
          egress: [
            {
              port: { number: PORT, protocol: 'HTTP', name: 'http' },
              bind: net.everywhere,
              captureMode: 'NONE',
              hosts: ['./*'],
            },
          ],
        },
      ),
    ],
    {},
    { onConnection: ({ node }, state) => registration[state](node), onHealth: registration.health },
  );
  const watch = cluster.client.watch(istioTypes.WorkloadEntry, {}, (event) => {
    if (event.type === 'ADDED' || event.type === 'MODIFIED') controlPlane.set(event.object);
    else if (event.type === 'DELETED') controlPlane.sources.delete(event.object);
  });
  cleanups.push(() => watch.close());
  firstGood = askedUntil('patient', '/patient', 'True');
  for (const name of names) if (groups[name]?.probe && name !== 'machine') join(name);
  // One machine as it is: its agent asks the application, and tells istiod through its Envoy, which here is the client's too.
  agent = await startAgent({
    command: OWN_AGENT,
    controlPlane,
    pod: { name: 'machine', namespace: 'default', account: 'machine', ip: ipOf('machine'), labels: {} },
    env: { ISTIO_META_INTERCEPTION_MODE: 'NONE', ISTIO_META_AUTO_REGISTER_GROUP: 'machine' },
    proxyConfig: { binaryPath: requireEnvoy(), readinessProbe: groups.machine?.probe },
  });
});

after(async () => {
  await agent?.stop();
  for (const end of [...cleanups].reverse()) await end();
  registration?.close();
  await controlPlane?.close();
  rmSync(folder, { recursive: true, force: true });
});

/** Joins the group and asks its application from now on. */
function join(name: string): void {
  const node = nodeOf(name);
  registration.connected(node);
  const probe = readHealthProbe(JSON.parse(JSON.stringify(groups[name]?.probe)));
  if (!probe) throw new Error(`${name} has no probe`);
  const checks = watchHealth(probe, { address: node.ipAddress, localAddress: undefined }, (health) =>
    registration.health(node, health),
  );
  cleanups.push(() => checks.close());
}

const details = (): string => `${agent.output()}\n${controlPlane.complaints.join('\n')}`;
const status = (name: string): Promise<number | string> =>
  call('/', { address: net.everywhere, port: PORT, host: `${name}.example` }).then(
    (answer) => answer.seen?.origin ?? answer.status,
    (error: NodeJS.ErrnoException) => error.code ?? error.message,
  );
const reached = (name: string) =>
  eventually(
    `${name} to be reached`,
    () => status(name),
    (seen) => seen === name,
    details,
  );
const lost = (name: string) =>
  eventually(
    `${name} to be left out`,
    () => status(name),
    (seen) => seen === 503,
    details,
  );

const entryOf = (name: string): KubeObject | undefined =>
  [...cluster.objects.values()].find(
    ({ kind, metadata }) =>
      kind === 'WorkloadEntry' && metadata.annotations?.['istio.io/autoRegistrationGroup'] === name,
  );
const condition = (name: string): string | undefined =>
  (
    entryOf(name)?.status as { readonly conditions?: readonly { type: string; status: string }[] } | undefined
  )?.conditions?.find(({ type }) => type === 'Healthy')?.status;
const asked = (path: string): number => probes.filter((one) => one === path).length;
/** How often the application had been asked when the entry's condition became this. */
const askedUntil = async (name: string, path: string, wanted: string): Promise<number> => {
  const { promise, resolve } = Promise.withResolvers<number>();
  const watch = cluster.client.watch(istioTypes.WorkloadEntry, {}, () => {
    if (condition(name) === wanted) resolve(asked(path));
  });
  const times = await promise;
  watch.close();
  return times;
};

test('an agent’s answer decides whether its machine is an endpoint', async () => {
  proves('WorkloadGroup.spec.probe.httpGet.path', 'WorkloadGroup.spec.probe.httpGet.port');
  await reached('machine');
  assert.equal(condition('machine'), 'True');
  failing.add('/ready');
  await lost('machine');
  assert.equal(condition('machine'), 'False');
  failing.delete('/ready');
  await reached('machine');
});

test('HTTPS, at another host, with headers', async () => {
  proves(
    'WorkloadGroup.spec.probe.httpGet.host',
    'WorkloadGroup.spec.probe.httpGet.scheme',
    'WorkloadGroup.spec.probe.httpGet.httpHeaders[].name',
    'WorkloadGroup.spec.probe.httpGet.httpHeaders[].value',
  );
  await reached('secure');
  await lost('unmarked');
  assert.equal(condition('unmarked'), 'False');
  failing.add('secure');
  await lost('secure');
});

test('a connection', async () => {
  proves('WorkloadGroup.spec.probe.tcpSocket.port', 'WorkloadGroup.spec.probe.tcpSocket.host');
  await reached('tcp');
  tcp.close();
  await lost('tcp');
});

test('a command', async () => {
  proves('WorkloadGroup.spec.probe.exec.command[]');
  assert.ok(existsSync(healthy));
  await reached('exec');
  rmSync(healthy);
  await lost('exec');
});

test('a call of the gRPC health service', async () => {
  proves('WorkloadGroup.spec.probe.grpc.port', 'WorkloadGroup.spec.probe.grpc.service');
  await reached('grpc');
  await lost('stranger');
  assert.equal(condition('stranger'), 'False');
  serving = false;
  await lost('grpc');
});

test('so many answers in a row count', async () => {
  proves('WorkloadGroup.spec.probe.successThreshold', 'WorkloadGroup.spec.probe.failureThreshold');
  await reached('patient');
  assert.equal(await firstGood, 3);
  const before = asked('/patient');
  failing.add('/patient');
  const bad = askedUntil('patient', '/patient', 'False');
  await lost('patient');
  assert.ok((await bad) - before >= 2, `${before} and ${await bad}`);
});

test('when it is asked first, how often then, and for how long it may think', async () => {
  proves(
    'WorkloadGroup.spec.probe.initialDelaySeconds',
    'WorkloadGroup.spec.probe.periodSeconds',
    'WorkloadGroup.spec.probe.timeoutSeconds',
  );
  await reached('seldom');
  await reached('late');
  await eventually(
    'more questions',
    () => asked('/late'),
    (times) => times >= 3,
    details,
  );
  assert.equal(asked('/seldom'), 1);
  assert.ok(probes.indexOf('/seldom') < probes.indexOf('/late'), probes.join(' '));
  await reached('calm');
  assert.equal(condition('hasty'), 'False');
  await lost('hasty');
});

test('a group’s annotations are those of its members’ entries', async () => {
  proves('WorkloadGroup.spec.metadata.annotations[]');
  const node = nodeOf('announced');
  registration.connected(node);
  await eventually(
    'the entry',
    () => entryOf('announced'),
    (entry) => entry !== undefined,
  );
  // Its agent is to say that it is healthy first.
  await lost('announced');
  registration.health(node, { healthy: true, message: '' });
  await reached('announced');
});
