import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { get as httpGet } from 'node:http';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { loadChart, type Rendered, renderChart, type Values } from '@istio-ts/charts';
import { kubernetesTypes } from '@istio-ts/api/resource-types';
import { type ClosableKubeClient, createKubeClient, type KubeObject, loadKubeConfig } from '@istio-ts/kube';
import { startTestServer, type TestServer } from '@istio-ts/local/apiserver/test-support';
import { freePort } from '../clients/agent.test-support.ts';

const charts = join(import.meta.dirname, '../../../charts/manifests');
const NAMESPACE = 'istio-system';
const PORTS = ['grpc', 'secureGrpc', 'https', 'http', 'monitoring', 'controlZ'] as const;
const FLAGS: Readonly<Record<(typeof PORTS)[number], string>> = {
  grpc: 'grpcAddr',
  secureGrpc: 'secureGRPCAddr',
  https: 'httpsAddr',
  http: 'httpAddr',
  monitoring: 'monitoringAddr',
  controlZ: 'ctrlz_port',
};

/** istiod as a process of its own, with the rights that the chart gives it and no others, on an API server that enforces them. */
export interface RunningIstiod {
  readonly api: TestServer;
  /** The administrator's. */
  readonly client: ClosableKubeClient;
  readonly ports: Readonly<Record<(typeof PORTS)[number], number>>;
  readonly process: ChildProcess;
  /** All that it has written. */
  output(): string;
  /** Resident memory in bytes. */
  memory(): number;
  /** A token of a service account, for istiod unless other audiences are named. */
  token(namespace: string, account: string, audiences?: readonly string[]): Promise<string>;
  get(
    port: (typeof PORTS)[number],
    path: string,
    token?: string,
  ): Promise<{ readonly status: number; readonly body: string }>;
  close(): Promise<void>;
}

export interface IstiodOptions {
  /** Values of the chart istiod. */
  readonly values?: Values;
  /** Objects that are there before it starts; their namespaces are made. */
  readonly objects?: readonly KubeObject[];
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Address at which it listens, loopback by default. */
  readonly host?: string;
  /** Is called with the administrator's client before it starts. */
  readonly before?: (client: ClosableKubeClient) => void;
}

const rendered = (chart: string, values: Values): Rendered =>
  renderChart(loadChart(join(charts, chart)), { values, release: { name: chart, namespace: NAMESPACE } });

/** The variables that the chart's Deployment gives the container, as far as they are plain values. */
function environmentOf(objects: readonly KubeObject[]): Record<string, string> {
  const deployment = objects.find(({ kind }) => kind === 'Deployment');
  const spec = deployment?.spec as {
    readonly template: {
      readonly spec: { readonly containers: readonly { env: readonly { name: string; value?: string }[] }[] };
    };
  };
  return Object.fromEntries(
    (spec.template.spec.containers[0]?.env ?? []).flatMap(({ name, value }) =>
      value === undefined || name === 'KUBECONFIG' ? [] : [[name, value] as const],
    ),
  );
}

export async function startIstiod({
  values = {},
  objects = [],
  args = [],
  env = {},
  host = '127.0.0.1',
  before = () => undefined,
}: IstiodOptions = {}): Promise<RunningIstiod> {
  const api = await startTestServer();
  const client = createKubeClient(loadKubeConfig({ kubeconfig: join(api.directory, 'kubeconfig'), env: {} }));
  const put = async (object: KubeObject): Promise<void> =>
    void (await client.create(await client.resolve(object.apiVersion, object.kind), object));
  const namespaces = new Set([
    NAMESPACE,
    ...((values.secretNamespaces ?? []) as readonly string[]),
    ...objects.map(({ metadata }) => metadata.namespace ?? 'default'),
  ]);
  namespaces.delete('default');
  for (const name of namespaces) await put({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
  const installed = [...rendered('base', {}).manifests, ...rendered('istiod', values).manifests].map(
    ({ object }) => object,
  );
  // Nobody runs the Deployment here; webhooks would ask for an istiod at the Service's address.
  for (const object of installed)
    if (!/WebhookConfiguration$|^Deployment$|Autoscaler$/.test(object.kind)) await put(object);
  for (const object of objects) {
    const deadline = Date.now() + 120_000;
    for (;;)
      try {
        await put(object);
        break;
      } catch (error) {
        // A definition is served a moment after it was made.
        if (Date.now() > deadline) {
          client.close();
          await api.close();
          throw error;
        }
        await sleep(50);
      }
  }
  const token = async (namespace: string, account: string, audiences?: readonly string[]): Promise<string> => {
    const path = `/api/v1/namespaces/${namespace}/serviceaccounts/${account}/token`;
    const spec = { ...(audiences === undefined ? {} : { audiences }), expirationSeconds: 3600 };
    const { body } = await api.call('POST', path, {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenRequest',
      spec,
    });
    return body.status.token;
  };
  const kubeconfig = join(api.directory, 'istiod.kubeconfig');
  const cluster = {
    server: `https://127.0.0.1:${api.port}`,
    'certificate-authority-data': Buffer.from(api.server.caCertificate).toString('base64'),
  };
  const user = { token: await token(NAMESPACE, `istiod${values.revision ? `-${values.revision}` : ''}`) };
  writeFileSync(
    kubeconfig,
    JSON.stringify({
      apiVersion: 'v1',
      kind: 'Config',
      'current-context': 'a',
      clusters: [{ name: 'a', cluster }],
      users: [{ name: 'a', user }],
      contexts: [{ name: 'a', context: { cluster: 'a', user: 'a' } }],
    }),
  );
  before(client);
  const ports = Object.fromEntries(
    await Promise.all(PORTS.map(async (name) => [name, await freePort()] as const)),
  ) as RunningIstiod['ports'];
  const child = spawn(
    process.execPath,
    [
      join(import.meta.dirname, '../bin/pilot-discovery.ts'),
      'discovery',
      `--kubeconfig=${kubeconfig}`,
      ...PORTS.map((name) => `--${FLAGS[name]}=${name === 'controlZ' ? '' : `${host}:`}${ports[name]}`),
      ...args,
    ],
    {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        PATH: process.env.PATH,
        ...environmentOf(installed),
        POD_NAME: 'istiod-0',
        POD_NAMESPACE: NAMESPACE,
        ...env,
      },
    },
  );
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk) => {
      output += chunk;
    });
  const get: RunningIstiod['get'] = (port, path, bearer) =>
    new Promise((resolve, reject) => {
      const address = port === 'controlZ' ? '127.0.0.1' : host;
      const headers = bearer === undefined ? {} : { authorization: `Bearer ${bearer}` };
      httpGet({ host: address, port: ports[port], path, headers, agent: false }, (response) => {
        let body = '';
        response.on('data', (chunk) => {
          body += chunk;
        });
        response.on('end', () => resolve({ status: response.statusCode ?? 0, body }));
      }).on('error', reject);
    });
  const deadline = Date.now() + 180_000;
  while ((await get('http', '/ready').catch(() => ({ status: 0 }))).status !== 200) {
    if (Date.now() > deadline || child.exitCode !== null) {
      child.kill('SIGKILL');
      client.close();
      await api.close();
      throw new Error(`istiod did not become ready:\n${output}`);
    }
    await sleep(50);
  }
  return {
    api,
    client,
    ports,
    process: child,
    output: () => output,
    memory: () => Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))?.[1] ?? 0) * 1024,
    token,
    get,
    close: async () => {
      const gone = child.exitCode === null ? new Promise((resolve) => child.once('exit', resolve)) : undefined;
      child.kill('SIGTERM');
      const cut = setTimeout(() => child.kill('SIGKILL'), 10_000);
      await gone;
      clearTimeout(cut);
      client.close();
      await api.close();
    },
  };
}

export const serviceAccount = (namespace: string, name: string): KubeObject => ({
  apiVersion: 'v1',
  kind: 'ServiceAccount',
  metadata: { namespace, name },
});

export const secretsType = kubernetesTypes.Secret;
