import http from 'node:http';
import { freePorts } from '@istio-ts/envoy/testing/free-port';
import { httpListener, localCluster, type RunningProxy, runEnvoy } from '@istio-ts/envoy/testing/run-envoy';

export interface LimitedEnvoy {
  readonly port: number;
  readonly proxy: RunningProxy;
}

/** A real Envoy that asks one of these rate limit services for the descriptor `(PATH, path)` of each request in the domain `load`, and answers by itself. */
export async function startLimitedEnvoy(servicePorts: readonly number[]): Promise<LimitedEnvoy> {
  const [port = 0, behind = 0] = await freePorts(2);
  const proxy = await runEnvoy({
    node: { id: 'limited', cluster: 'limited' },
    staticResources: {
      clusters: [localCluster('behind', [behind]), localCluster('rls', servicePorts, true)],
      listeners: [
        httpListener(behind, {
          virtualHosts: [
            {
              name: 'all',
              domains: ['*'],
              routes: [{ match: { prefix: '/' }, directResponse: { status: 200, body: { inlineString: 'admitted' } } }],
            },
          ],
        }),
        httpListener(
          port,
          {
            virtualHosts: [
              {
                name: 'all',
                domains: ['*'],
                rateLimits: [{ actions: [{ requestHeaders: { headerName: ':path', descriptorKey: 'PATH' } }] }],
                routes: [{ match: { prefix: '/' }, route: { cluster: 'behind' } }],
              },
            ],
          },
          {
            filters: [
              {
                name: 'envoy.filters.http.ratelimit',
                typedConfig: {
                  '@type': 'type.googleapis.com/envoy.extensions.filters.http.ratelimit.v3.RateLimit',
                  domain: 'load',
                  failureModeDeny: true,
                  timeout: '30s',
                  enableXRatelimitHeaders: 'DRAFT_VERSION_03',
                  rateLimitService: {
                    grpcService: { envoyGrpc: { clusterName: 'rls' } },
                    transportApiVersion: 'V3',
                  },
                },
              },
            ],
          },
        ),
      ],
    },
  });
  return { port, proxy };
}

export interface Answer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
}

/** Asks through connections that stay open. */
export class LoadClient {
  readonly #agent: http.Agent;
  readonly #port: number;

  constructor(port: number, connections: number) {
    this.#port = port;
    this.#agent = new http.Agent({ keepAlive: true, maxSockets: connections });
  }

  get(path: string): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const request = http.get({ host: '127.0.0.1', port: this.#port, path, agent: this.#agent }, (response) => {
        response.resume();
        response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers }));
      });
      request.on('error', reject);
    });
  }

  close(): void {
    this.#agent.destroy();
  }
}

/** What the counters of windows were asked for, and what that admits. */
export function admittedBy(hitsOfWindows: Iterable<number>, limit: number): number {
  let sum = 0;
  for (const hits of hitsOfWindows) sum += Math.min(hits, limit);
  return sum;
}
