import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, request as httpRequest, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { customResourceDefinitions } from '@istio-ts/api/crds';
import { kubernetesTypes } from '@istio-ts/api/resource-types';
import { parseArguments } from '@istio-ts/command-line/arguments';
import { type ClosableKubeClient, createKubeClient, type KubeObject, loadKubeConfig } from '@istio-ts/kube';
import { HOST_RUNTIME, startTestServer, type TestServer } from '@istio-ts/local/apiserver/test-support';
import { type RunningConsole, startConsole } from './server.ts';
import { consoleFlags, readSettings } from './settings.ts';
import type { Sample } from './sources/prometheus.ts';
import { answersOf, type Talk } from './traffic/flows.test-support.ts';

/** Answers of an endpoint. `json` is what the API promises: an ApiError where the status says so, undefined where the answer is no JSON. */
export interface Answer<T = unknown> {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly text: string;
  readonly json: T;
}

export interface Ask {
  readonly method?: string;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Asks a console as a program does that sends our header. */
export function ask<T = unknown>(
  port: number,
  path: string,
  { method = 'GET', body, headers = {} }: Ask = {},
): Promise<Answer<T>> {
  const text = body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body);
  return new Promise((resolve, reject) => {
    const outgoing = httpRequest(
      {
        host: '127.0.0.1',
        port,
        path,
        method,
        agent: false,
        headers: {
          'x-istio-console': '1',
          ...(text !== undefined && { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }),
          ...headers,
        },
      },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('end', () => {
          const answer = Buffer.concat(chunks).toString('utf8');
          let json: unknown;
          try {
            json = JSON.parse(answer);
          } catch {
            json = undefined;
          }
          resolve({ status: response.statusCode ?? 0, headers: response.headers, text: answer, json: json as T });
        });
      },
    );
    outgoing.on('error', reject);
    outgoing.end(text);
  });
}

/** Nothing listens at these. */
const nobody = ['prometheus', 'tracing', 'grafana', 'loki'].map((name) => `--${name}-url=http://127.0.0.1:1`);

export const listen = async (server: Server): Promise<number> => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
};

/** A Prometheus that knows this traffic, whatever time is asked for, and one line for every range. */
export async function fakePrometheus(
  talks: readonly Talk[],
): Promise<{ readonly port: number; readonly queries: string[]; close(): void }> {
  const answers = answersOf(talks);
  const queries: string[] = [];
  const vector = (samples: readonly Sample[]) => ({
    resultType: 'vector',
    result: samples.map(({ metric, value }) => ({ metric, value: [0, String(value)] })),
  });
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const fields = new URLSearchParams(Buffer.concat(chunks).toString('utf8'));
    const query = fields.get('query') ?? '';
    queries.push(query);
    const data = request.url?.endsWith('/query_range')
      ? {
          resultType: 'matrix',
          result: [{ metric: { response_code: '200' }, values: [[Number(fields.get('start')), '1.5']] }],
        }
      : vector(
          query.includes('istio_requests_total')
            ? answers.requests
            : query.includes('duration_milliseconds')
              ? answers.latencies
              : query.includes('tcp_sent')
                ? answers.sent
                : query.includes('tcp_received')
                  ? answers.received
                  : [],
        );
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ status: 'success', data }));
  });
  return { port: await listen(server), queries, close: () => void server.close() };
}

/** A cluster without nodes, and what the console needs beside it. */
export interface TestCluster {
  readonly server: TestServer;
  readonly client: ClosableKubeClient;
  readonly create: (...objects: readonly KubeObject[]) => Promise<void>;
  /** A token of a service account that may do what a ClusterRole says, in a namespace or (undefined) everywhere. */
  readonly token: (name: string, role: string, namespace?: string) => Promise<string>;
  /** Lets a service account do what one more ClusterRole says, in a namespace or (undefined) everywhere. */
  readonly bind: (name: string, role: string, namespace?: string) => Promise<void>;
  readonly console: (flags: readonly string[]) => Promise<RunningConsole & { readonly log: string[] }>;
  close(): Promise<void>;
}

/** `ports`: where the ports of all pods lead to on this machine. */
export async function startTestCluster(ports: ReadonlyMap<number, number> = new Map()): Promise<TestCluster> {
  const dial: typeof HOST_RUNTIME.dial = (namespace, pod, port) =>
    HOST_RUNTIME.dial(namespace, pod, ports.get(port) ?? 1);
  const server = await startTestServer({ runtime: { ...HOST_RUNTIME, dial } });
  const kubeconfig = join(server.directory, 'kubeconfig');
  const config = loadKubeConfig({ kubeconfig, env: {} });
  const client = createKubeClient(config);
  const pages = mkdtempSync(join(tmpdir(), 'istio-ts-console-'));
  writeFileSync(join(pages, 'index.html'), `<!doctype html><title>Console</title>${' '.repeat(2000)}`);
  mkdirSync(join(pages, 'assets'));
  writeFileSync(join(pages, 'assets', 'main-ABCDEFGH.js'), 'console.log(1)');
  const dashboards = mkdtempSync(join(tmpdir(), 'istio-ts-dashboards-'));
  writeFileSync(join(dashboards, 'mesh.json'), JSON.stringify({ uid: 'mesh', title: 'Mesh', panels: [] }));
  writeFileSync(join(dashboards, 'broken.json'), '{');
  const running: RunningConsole[] = [];
  const create = async (...objects: readonly KubeObject[]): Promise<void> => {
    for (const written of objects) {
      const object = await withOwner(client, written);
      const type = await client.resolve(object.apiVersion, object.kind);
      const { status, ...stored } = object;
      await client.create(type, stored as KubeObject);
      if (status !== undefined) {
        const current = await client.get(type, object.metadata.name ?? '', object.metadata.namespace);
        await client.update(type, { ...current, status }, { subresource: 'status' });
      }
    }
  };
  const bind: TestCluster['bind'] = (name, role, namespace) =>
    create({
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: namespace === undefined ? 'ClusterRoleBinding' : 'RoleBinding',
      metadata: { name, ...(namespace !== undefined && { namespace }) },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: role },
      subjects: [{ kind: 'ServiceAccount', name, namespace: 'default' }],
    });
  await create(...(customResourceDefinitions() as unknown as readonly KubeObject[]));
  return {
    server,
    client,
    create,
    bind,
    token: async (name, role, namespace) => {
      await create({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name, namespace: 'default' } });
      await bind(name, role, namespace);
      const made = (await client.request('POST', `/api/v1/namespaces/default/serviceaccounts/${name}/token`, {
        apiVersion: 'authentication.k8s.io/v1',
        kind: 'TokenRequest',
        spec: { expirationSeconds: 3600 },
      })) as { readonly status: { readonly token: string } };
      return made.status.token;
    },
    console: async (flags) => {
      const log: string[] = [];
      const settings = readSettings(
        parseArguments([...nobody, '--host=127.0.0.1', '--port=0', ...flags], consoleFlags({})),
      );
      const console = await startConsole({
        settings,
        config,
        client,
        pagesDir: pages,
        dashboardsDir: dashboards,
        now: Date.now,
        log: (line) => void log.push(line),
      });
      running.push(console);
      return { ...console, log };
    },
    close: async () => {
      for (const console of running) await console.close();
      client.close();
      await server.close();
      for (const folder of [pages, dashboards]) rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Pods whose owner is not there are collected as garbage: this makes their ReplicaSet, without anybody who would fill it. */
async function withOwner(client: ClosableKubeClient, object: KubeObject): Promise<KubeObject> {
  const owner = object.kind === 'Pod' ? object.metadata.ownerReferences?.[0] : undefined;
  if (!owner) return object;
  const { namespace = '', labels = {} } = object.metadata;
  const made = await client.create(kubernetesTypes.ReplicaSet, {
    apiVersion: 'apps/v1',
    kind: 'ReplicaSet',
    metadata: { name: owner.name, namespace },
    spec: {
      replicas: 0,
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: { containers: [{ name: 'app', image: 'app:1' }] } },
    },
  });
  return {
    ...object,
    metadata: { ...object.metadata, ownerReferences: [{ ...owner, uid: made.metadata.uid ?? '' }] },
  };
}
