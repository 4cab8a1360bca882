import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import type { Bootstrap, Cluster, Listener, RouteConfiguration } from '../index.ts';
import { requireEnvoy } from './binary.ts';
import { freePort } from './free-port.ts';

export interface RunningProxy {
  /** Port of the admin server on 127.0.0.1. */
  readonly adminPort: number;
  /** Text of an admin page. */
  admin(path: string): Promise<string>;
  log(): string;
  stop(): Promise<void>;
}

const DEADLINE_MS = 120_000;

/** Starts a real Envoy with this bootstrap (its admin server is added) and resolves when it serves. Rejects with its log when it does not start. */
export async function runEnvoy(bootstrap: Bootstrap): Promise<RunningProxy> {
  const folder = mkdtempSync(join(tmpdir(), 'envoy-'));
  const adminPort = await freePort();
  const file = join(folder, 'envoy.json');
  const admin = { address: { socketAddress: { address: '127.0.0.1', portValue: adminPort } } };
  writeFileSync(file, JSON.stringify({ ...bootstrap, admin }));
  const child = spawn(
    requireEnvoy(),
    ['-c', file, '--concurrency', '1', '--disable-hot-restart', '-l', 'warning', '--drain-time-s', '1'],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  );
  let log = '';
  child.stdout.on('data', (chunk: Buffer) => (log += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (log += chunk.toString()));
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const page = async (path: string): Promise<string> => (await fetch(`http://127.0.0.1:${adminPort}${path}`)).text();
  const stop = async (): Promise<void> => {
    if (child.exitCode === null) child.kill('SIGKILL');
    await ended;
    rmSync(folder, { recursive: true, force: true });
  };
  const deadline = Date.now() + DEADLINE_MS;
  for (;;) {
    if (child.exitCode !== null || Date.now() > deadline) {
      await stop();
      throw new Error(`Envoy did not start:\n${log}`);
    }
    const state = await page('/ready').catch(() => '');
    if (state.trim() === 'LIVE') return { adminPort, admin: page, log: () => log, stop };
    await wait(50);
  }
}

/** A cluster of endpoints on 127.0.0.1; with `http2` as gRPC needs it. */
export function localCluster(name: string, ports: readonly number[], http2 = false): Cluster {
  return {
    name,
    type: 'STATIC',
    connectTimeout: '5s',
    loadAssignment: {
      clusterName: name,
      endpoints: [
        {
          lbEndpoints: ports.map((portValue) => ({
            endpoint: { address: { socketAddress: { address: '127.0.0.1', portValue } } },
          })),
        },
      ],
    },
    ...(http2 && {
      typedExtensionProtocolOptions: {
        'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
          '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
          explicitHttpConfig: { http2ProtocolOptions: {} },
        },
      },
    }),
  };
}

/** An HTTP listener on 127.0.0.1 with these routes, and filters before the router. */
export function httpListener(
  port: number,
  routeConfig: RouteConfiguration,
  options: { readonly filters?: readonly object[]; readonly manager?: object } = {},
): Listener {
  return {
    name: `http-${port}`,
    address: { socketAddress: { address: '127.0.0.1', portValue: port } },
    filterChains: [
      {
        filters: [
          {
            name: 'envoy.filters.network.http_connection_manager',
            typedConfig: {
              '@type':
                'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager',
              statPrefix: 'test',
              routeConfig,
              httpFilters: [
                ...(options.filters ?? []),
                {
                  name: 'envoy.filters.http.router',
                  typedConfig: {
                    '@type': 'type.googleapis.com/envoy.extensions.filters.http.router.v3.Router',
                  },
                },
              ],
              ...options.manager,
            },
          },
        ],
      },
    ],
  };
}
