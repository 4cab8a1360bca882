// The mesh of the robustness tests: a server and a client with sidecars, an ingress gateway, and requests all the time.
import assert from 'node:assert/strict';
import type { Cluster } from '../support/cluster.ts';
import { http } from '../support/http.ts';
import { eventually, until } from '../support/shell.ts';

/** Answers every request. It closes no idle connection by itself: whoever does that meets a request on its way now and then, with a mesh and without. */
const serverProgram = `const server = require('http').createServer((request, response) => response.end('served')).listen(8080);
server.keepAliveTimeout = 0;
process.on('SIGTERM', () => setTimeout(() => process.exit(0), 5000));`;

/** Sends requests without end, and tells on port 9090 what came of them. Every fourth one is on a connection of its own. */
const clientProgram = `
const http = require('http');
let told = { served: 0, failures: [] };
let open = 0, count = 0;
const agent = new http.Agent({ keepAlive: true });
const ask = () => {
  // Not more at once than a slow machine gets done within the time of a request.
  if (open >= 10) return;
  open++;
  const failed = (why) => told.failures.push(new Date().toISOString() + ' ' + why);
  const way = ++count % 4 === 0 ? { agent: false } : { agent };
  const request = http.get({ host: 'server', port: 80, path: '/', timeout: 30000, ...way }, (response) => {
    let text = '';
    response.on('data', (part) => (text += part));
    response.on('end', () => (response.statusCode === 200 ? told.served++ : failed(response.statusCode + ' ' + text)));
  });
  request.on('timeout', () => request.destroy(new Error('no answer')));
  request.on('error', (error) => failed(error.message));
  request.on('close', () => open--);
};
let timer;
http.createServer((request, response) => {
  if (request.url === '/start') { told = { served: 0, failures: [] }; timer ??= setInterval(ask, 50); }
  if (request.url === '/stop') timer = clearInterval(timer);
  if (request.url.startsWith('/to/')) {
    const [, , host, port] = request.url.split('/');
    const call = http.get({ host, port, path: '/', agent: false, timeout: 20000 }, (answer) => {
      let text = '';
      answer.setEncoding('utf8').on('data', (piece) => { text += piece; });
      answer.on('end', () => response.end(JSON.stringify({
        status: answer.statusCode, headers: answer.headers, ...(answer.statusCode !== 200 && { error: text.slice(0, 500) }),
      })));
    });
    call.on('timeout', () => call.destroy(new Error('no answer')));
    call.on('error', (error) => response.end(JSON.stringify({ status: 0, headers: {}, error: error.message })));
    return;
  }
  response.end(JSON.stringify({ ...told, open }));
}).listen(9090, '127.0.0.1');
`;

type Json = Readonly<Record<string, unknown>>;

/** What the container of an app runs, and what a pod has beside that. */
export interface PodShape {
  readonly program?: string;
  readonly annotations?: Json;
  readonly labels?: Json;
  readonly container?: Json;
  readonly spec?: Json;
}

/** A Deployment's template or a Pod's metadata and spec. */
export const podOf = (app: string, shape: PodShape = {}) => ({
  metadata: { labels: { app, ...shape.labels }, ...(shape.annotations && { annotations: shape.annotations }) },
  spec: {
    terminationGracePeriodSeconds: 10,
    containers: [
      {
        name: 'app',
        image: 'busybox',
        imagePullPolicy: 'IfNotPresent',
        command: ['node', '-e', shape.program ?? serverProgram],
        ...shape.container,
      },
    ],
    ...shape.spec,
  },
});

export const deployment = (app: string, replicas: number, shape?: PodShape) => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: app },
  spec: { replicas, selector: { matchLabels: { app } }, template: podOf(app, shape) },
});

export const service = (name: string) => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name },
  spec: { selector: { app: name }, ports: [{ name: 'http', port: 80, targetPort: 8080 }] },
});

export const list = (...items: readonly object[]): string => JSON.stringify({ apiVersion: 'v1', kind: 'List', items });

/** Requests to the server, and through the gateway, carry this header in their answers: which configuration is in force. */
export const routes = (mark: string): string =>
  list(
    {
      apiVersion: 'networking.istio.io/v1',
      kind: 'VirtualService',
      metadata: { name: 'server' },
      spec: {
        hosts: ['server'],
        http: [
          {
            headers: { response: { set: { 'x-mark': mark } } },
            route: [{ destination: { host: 'server' } }],
          },
        ],
      },
    },
    {
      apiVersion: 'networking.istio.io/v1',
      kind: 'VirtualService',
      metadata: { name: 'door' },
      spec: {
        hosts: ['*'],
        gateways: ['door'],
        http: [
          {
            headers: { response: { set: { 'x-mark': mark } } },
            route: [{ destination: { host: 'server.default.svc.cluster.local' } }],
          },
        ],
      },
    },
  );

/** Who is to answer while a hundred pods start on the same node asks for a share of its processors, as one would in production. */
const withShare: PodShape = {
  container: { resources: { requests: { cpu: '100m' } } },
  annotations: { 'sidecar.istio.io/proxyCPU': '100m', 'sidecar.istio.io/proxyMemory': '32Mi' },
};

const objects = list(
  service('server'),
  deployment('server', 2, withShare),
  deployment('client', 1, { ...withShare, program: clientProgram }),
  {
    apiVersion: 'security.istio.io/v1',
    kind: 'PeerAuthentication',
    metadata: { name: 'strict' },
    spec: { mtls: { mode: 'STRICT' } },
  },
  {
    apiVersion: 'networking.istio.io/v1',
    kind: 'Gateway',
    metadata: { name: 'door' },
    spec: {
      selector: { istio: 'ingressgateway' },
      servers: [{ port: { number: 80, name: 'http', protocol: 'HTTP' }, hosts: ['*'] }],
    },
  },
);

/** Three istiods, a gateway, and small requests for CPU and memory: that many pods are to fit on one node. */
export async function installMesh({ istioctl, kubectl, apply, podsReady }: Cluster): Promise<void> {
  const values = {
    'values.pilot.replicaCount': '3',
    'values.pilot.autoscaleEnabled': 'false',
    'values.pilot.resources.requests.cpu': '10m',
    'values.pilot.resources.requests.memory': '64Mi',
    'values.global.proxy.resources.requests.cpu': '5m',
    'values.global.proxy.resources.requests.memory': '32Mi',
    'values.global.logging.level': 'default:info',
    'components.ingressGateways[0].name': 'istio-ingressgateway',
    'components.ingressGateways[0].enabled': 'true',
  };
  await istioctl(
    ...['install', '-y', '--set', 'profile=default', '--readiness-timeout', '10m'],
    ...Object.entries(values).flatMap(([name, value]) => ['--set', `${name}=${value}`]),
  );
  await kubectl('label', 'namespace', 'default', 'istio-injection=enabled');
  await apply(objects);
  await apply(routes('first'));
  await podsReady('default');
  await podsReady('istio-system');
}

export interface Told {
  readonly served: number;
  readonly failures: readonly string[];
}

/** One request of the client's pod, as its application sees it. */
export async function callFromClient(
  { kubectl }: Cluster,
  host: string,
  port = 80,
): Promise<{ readonly status: number; readonly mark: string | undefined; readonly error?: string }> {
  const answer = JSON.parse(
    await kubectl(
      ...['exec', 'deploy/client', '-c', 'app', '--'],
      ...['curl', '-s', `http://127.0.0.1:9090/to/${host}/${port}`],
    ),
  ) as { readonly status: number; readonly headers: Record<string, string>; readonly error?: string };
  return { status: answer.status, mark: answer.headers['x-mark'], ...(answer.error && { error: answer.error }) };
}

/** The ingress gateway's address for requests from this machine. */
export const door = async ({ loadBalancer }: Cluster): Promise<string> =>
  `http://${await loadBalancer('istio-system', 'istio-ingressgateway')}/`;

/** Applies a mark and waits until the client's proxy and the gateway have it. */
export async function changeArrives(cluster: Cluster, mark: string): Promise<void> {
  await eventually(`the change ${mark} to be taken`, async () => {
    await cluster.apply(routes(mark));
  });
  const url = await door(cluster);
  await eventually(`the change ${mark} to arrive`, async () => {
    assert.deepEqual(await callFromClient(cluster, 'server'), { status: 200, mark });
    const { status, headers } = await http(url);
    assert.deepEqual([status, headers['x-mark']], [200, mark]);
  });
}

/** Runs work while the client and the gateway are busy; no request may fail. Says how many there were. */
export async function withoutFailures(
  cluster: Cluster,
  say: (line: string) => void,
  work: () => Promise<void>,
): Promise<void> {
  const url = await door(cluster);
  await eventually('the gateway to answer', async () => assert.equal((await http(url)).status, 200));
  const command = async (path: string) =>
    JSON.parse(
      await cluster.kubectl(
        ...['exec', 'deploy/client', '-c', 'app', '--', 'curl', '-s', `http://127.0.0.1:9090/${path}`],
      ),
    ) as Told & { readonly open: number };
  const outside = { served: 0, failures: [] as string[] };
  const open = new Set<Promise<void>>();
  const ask = async (): Promise<void> => {
    const { status, error, body } = await http(url);
    if (status === 200) outside.served++;
    else outside.failures.push(`${new Date().toISOString()} ${status} ${error ?? body.slice(0, 200)}`);
  };
  await command('start');
  const timer = setInterval(() => {
    if (open.size >= 5) return;
    const one = ask().finally(() => open.delete(one));
    open.add(one);
  }, 100);
  try {
    await work();
  } finally {
    clearInterval(timer);
    await Promise.all(open);
    await until('the client to stop', async () => command('stop'));
  }
  const inside = await until('the last requests of the client', async () => {
    const told = await command('told');
    return told.open === 0 ? told : undefined;
  });
  say(`${inside.served} requests between sidecars and ${outside.served} through the gateway`);
  assert.deepEqual(inside.failures, []);
  assert.deepEqual(outside.failures, []);
  assert.ok(inside.served > 50 && outside.served > 20, `${inside.served} and ${outside.served} requests were served`);
}

interface PodSummary {
  readonly metadata: { readonly name: string; readonly deletionTimestamp?: string };
  readonly status: {
    readonly podIP?: string;
    readonly conditions?: readonly { readonly type: string; readonly status: string }[];
    readonly containerStatuses?: readonly { readonly name: string; readonly restartCount: number }[];
    readonly initContainerStatuses?: readonly { readonly name: string; readonly restartCount: number }[];
  };
}

export interface PodState {
  readonly name: string;
  readonly ip: string;
  readonly ready: boolean;
  readonly restarts: number;
}

/** The pods of an app that are not being deleted. */
export async function podStates({ kubectl }: Cluster, namespace: string, app: string): Promise<readonly PodState[]> {
  const { items } = JSON.parse(await kubectl('get', 'pods', '-n', namespace, '-l', `app=${app}`, '-o', 'json')) as {
    readonly items: readonly PodSummary[];
  };
  return items
    .filter(({ metadata }) => metadata.deletionTimestamp === undefined)
    .map(({ metadata, status }) => ({
      name: metadata.name,
      ip: status.podIP ?? '',
      ready: status.conditions?.some(({ type, status: is }) => type === 'Ready' && is === 'True') ?? false,
      restarts: [...(status.containerStatuses ?? []), ...(status.initContainerStatuses ?? [])].reduce(
        (sum, { restartCount }) => sum + restartCount,
        0,
      ),
    }));
}

/** What the API server makes of a new pod in this namespace, without keeping it: the names of its containers. */
export async function injectedContainers({ kubectl }: Cluster, namespace = 'default'): Promise<readonly string[]> {
  const pod = JSON.parse(
    await kubectl(
      ...['run', 'probe', '-n', namespace, '--image=busybox', '--restart=Never', '--dry-run=server', '-o', 'json'],
    ),
  ) as { readonly spec: Readonly<Record<string, readonly { readonly name: string }[] | undefined>> };
  return [...(pod.spec.initContainers ?? []), ...(pod.spec.containers ?? [])].map(({ name }) => name);
}

/** Samples of istiod's metrics, through the API server; a sum over all labels by name. */
export async function istiodMetrics({ kubectl }: Cluster, pod: string): Promise<ReadonlyMap<string, number>> {
  const text = await kubectl('get', '--raw', `/api/v1/namespaces/istio-system/pods/${pod}:15014/proxy/metrics`);
  return sums(text);
}

export function sums(text: string): ReadonlyMap<string, number> {
  const found = new Map<string, number>();
  for (const line of text.split('\n')) {
    const [, name, value] = /^([a-zA-Z_:][\w:]*)(?:\{.*\})? (\S+)/.exec(line) ?? [];
    if (name !== undefined) found.set(name, (found.get(name) ?? 0) + Number(value));
  }
  return found;
}
