import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import type { Cluster, Listener, Node, RouteConfiguration } from '@istio-ts/envoy';
import { requireEnvoy } from '@istio-ts/envoy/testing/binary';
import { freePort } from '@istio-ts/envoy/testing/free-port';

/** What a real Envoy runs in a component test: generated resources, given statically. */
export interface EnvoySetup {
  readonly listeners: readonly Listener[];
  readonly routes: ReadonlyMap<string, RouteConfiguration>;
  readonly clusters: readonly Cluster[];
  /** Configuration of filters that are discovered, by name. */
  readonly extensions?: ReadonlyMap<string, unknown>;
  /** Where the proxy is and the endpoints of its own workload, which the agent puts into the bootstrap where it is told to. */
  readonly self?: { readonly locality: NonNullable<Node['locality']>; readonly cluster: Cluster };
  /** Secrets of the agent by name, as the bootstrap takes them. */
  readonly secrets?: readonly object[];
  /** The DNS server that it asks; the machine's where not given. */
  readonly dns?: { readonly address: string; readonly port: number };
}

export interface RunningEnvoy {
  readonly pid: number;
  /** Text of an admin page. */
  admin(path: string): Promise<string>;
  /** Asks the admin server for a change, such as of the log level. */
  change(path: string): Promise<void>;
  stop(): Promise<void>;
  readonly log: () => string;
}

const DEADLINE_MS = 120_000;

/** Replaces what a control plane and an agent would serve by the thing itself. */
function inline(value: unknown, routes: EnvoySetup['routes'], extensions: EnvoySetup['extensions']): unknown {
  if (Array.isArray(value)) {
    return value.map((v) => inline(v, routes, extensions));
  }
  if (typeof value !== 'object' || value === null) {
    return value;
  }
  const result: Record<string, unknown> = {};
  for (const [key, v] of Object.entries(value)) {
    if (key === 'rds') {
      const name = (v as { routeConfigName: string }).routeConfigName;
      const found = routes.get(name);
      if (found === undefined) {
        throw new Error(`no route configuration ${name}`);
      }
      result.routeConfig = found;
    } else if (key === 'configDiscovery') {
      const name = String((value as { readonly name?: unknown }).name);
      const found = extensions?.get(name) as { readonly typedConfig?: unknown } | undefined;
      if (found === undefined) throw new Error(`no configuration of the extension ${name}`);
      result.typedConfig = found.typedConfig;
    } else if (key === 'sdsConfig') {
      // A secret without a source is one of the bootstrap.
    } else {
      result[key] = inline(v, routes, extensions);
    }
  }
  return result;
}

export { freePort };

/** The listener on another address of the loopback, bound for real. */
export const boundTo = (listener: Listener, port: number): Listener => ({
  ...listener,
  address: { socketAddress: { address: '127.0.0.1', portValue: port } },
  bindToPort: true,
});

export async function startEnvoy(setup: EnvoySetup): Promise<RunningEnvoy> {
  const directory = await mkdtemp(join(tmpdir(), 'xds-envoy-'));
  const admin = await freePort();
  const bootstrap = {
    node: { id: 'test', cluster: 'test', ...(setup.self && { locality: setup.self.locality }) },
    ...(setup.self && { clusterManager: { localClusterName: setup.self.cluster.name } }),
    admin: { address: { socketAddress: { address: '127.0.0.1', portValue: admin } } },
    staticResources: {
      listeners: inline(setup.listeners, setup.routes, setup.extensions),
      clusters: inline(
        [...(setup.self ? [setup.self.cluster] : []), ...setup.clusters],
        setup.routes,
        setup.extensions,
      ),
      secrets: setup.secrets ?? [],
    },
    ...(setup.dns && {
      typedDnsResolverConfig: {
        name: 'envoy.network.dns_resolver.cares',
        typedConfig: {
          '@type': 'type.googleapis.com/envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig',
          resolvers: [{ socketAddress: { address: setup.dns.address, portValue: setup.dns.port } }],
          dnsResolverOptions: { noDefaultSearchDomain: true },
        },
      },
    }),
    statsFlushInterval: '1s',
    layeredRuntime: {
      layers: [
        {
          name: 'test',
          staticLayer: {
            're2.max_program_size.error_level': 32_768,
            // Spans are sent at once.
            'tracing.zipkin.min_flush_spans': 1,
            'tracing.opentelemetry.min_flush_spans': 1,
          },
        },
      ],
    },
  };
  const path = join(directory, 'envoy.json');
  await writeFile(path, JSON.stringify(bootstrap));
  const child: ChildProcess = spawn(
    requireEnvoy(),
    ['-c', path, '--concurrency', '1', '--disable-hot-restart', '-l', 'warning', '--file-flush-interval-msec', '100'],
    {
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  let log = '';
  child.stdout?.on('data', (chunk: Buffer) => (log += chunk.toString()));
  child.stderr?.on('data', (chunk: Buffer) => (log += chunk.toString()));
  const page = async (path_: string): Promise<string> => (await fetch(`http://127.0.0.1:${admin}${path_}`)).text();
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const stop = async (): Promise<void> => {
    if (child.exitCode === null) {
      child.kill('SIGKILL');
      await ended;
    }
    await rm(directory, { recursive: true, force: true });
  };
  const until = Date.now() + DEADLINE_MS;
  for (;;) {
    if (child.exitCode !== null || Date.now() > until) {
      await stop();
      throw new Error(`Envoy did not start:\n${log}`);
    }
    try {
      if ((await page('/ready')).trim() === 'LIVE') {
        const change = async (path_: string): Promise<void> => {
          await fetch(`http://127.0.0.1:${admin}${path_}`, { method: 'POST' });
        };
        return { admin: page, change, stop, log: () => log, pid: child.pid ?? 0 };
      }
    } catch {
      // Not listening yet.
    }
    await wait(50);
  }
}

/** A request as an application of a test saw it. */
export interface Seen {
  readonly app: string;
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

export interface App {
  readonly port: number;
  readonly seen: Seen[];
  close(): Promise<void>;
}

/** An HTTP application that answers with what it saw; `/status/N` answers with that status, `/delay/MS` late. */
export async function startApp(name: string): Promise<App> {
  const seen: Seen[] = [];
  const server: Server = createServer((request, response) => {
    const path = request.url ?? '';
    const one: Seen = { app: name, method: request.method ?? '', path, headers: request.headers };
    seen.push(one);
    const status = Number(/\/status\/(\d+)/.exec(path)?.[1] ?? 200);
    const delay = Number(/\/delay\/(\d+)/.exec(path)?.[1] ?? 0);
    const answer = () =>
      response.writeHead(status, { 'content-type': 'application/json', 'x-app': name }).end(JSON.stringify(one));
    if (delay > 0) {
      setTimeout(answer, delay);
    } else {
      answer();
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    seen,
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}

/** Polls until `check` gives something. */
export async function eventually<T>(check: () => Promise<T | undefined> | T | undefined, what: string): Promise<T> {
  const until = Date.now() + DEADLINE_MS;
  for (;;) {
    const result = await check();
    if (result !== undefined) {
      return result;
    }
    if (Date.now() > until) {
      throw new Error(`waited in vain for ${what}`);
    }
    await wait(50);
  }
}

/** A cluster of loopback endpoints with the metadata by which metrics know service and server. */
export function cluster(
  name: string,
  port: number,
  more: { readonly host?: string; readonly workload?: string; readonly extra?: Partial<Cluster> } = {},
): Cluster {
  const [short = '', namespace = ''] = (more.host ?? '').split('.');
  return {
    name,
    type: 'STATIC',
    connectTimeout: '2s',
    ...(more.host !== undefined
      ? { metadata: { filterMetadata: { 'istio.svc': { host: more.host, name: short, namespace } } } }
      : {}),
    loadAssignment: {
      clusterName: name,
      endpoints: [
        {
          lbEndpoints: [
            {
              endpoint: { address: { socketAddress: { address: '127.0.0.1', portValue: port } } },
              ...(more.workload !== undefined
                ? {
                    metadata: {
                      filterMetadata: {
                        'istio.peer': {
                          workload: more.workload,
                          namespace,
                          app: short,
                          version: 'v1',
                          canonical_service: short,
                          canonical_revision: 'v1',
                          cluster: 'Kubernetes',
                        },
                      },
                    },
                  }
                : {}),
            },
          ],
        },
      ],
    },
    ...more.extra,
  };
}
