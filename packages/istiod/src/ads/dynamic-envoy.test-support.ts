import { type ChildProcess, spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { requireEnvoy } from '@istio-ts/envoy/testing/binary';

/** A real Envoy that gets everything from a discovery server at a port of 127.0.0.1, and applications for it to reach. */
export function startDynamicEnvoy(setup: {
  /** Gets Envoy's configuration (`envoy.json`) and its `log`. */
  readonly folder: string;
  readonly adsPort: number;
  readonly apiType: 'GRPC' | 'DELTA_GRPC';
  readonly node: {
    readonly id: string;
    readonly cluster: string;
    readonly metadata: Readonly<Record<string, string>>;
  };
  /** Of the connection to the server; plain text where not given. */
  readonly transportSocket?: object;
}): ChildProcess {
  const { folder, adsPort, apiType, node, transportSocket } = setup;
  const fromStream = { ads: {}, resource_api_version: 'V3', initial_fetch_timeout: '0s' };
  const server = { address: { socket_address: { address: '127.0.0.1', port_value: adsPort } } };
  const config = join(folder, 'envoy.json');
  writeFileSync(
    config,
    JSON.stringify({
      node,
      admin: { address: { pipe: { path: join(folder, 'admin') } } },
      dynamic_resources: {
        ads_config: {
          api_type: apiType,
          transport_api_version: 'V3',
          grpc_services: [
            {
              envoy_grpc: {
                cluster_name: 'xds',
                retry_policy: { retry_back_off: { base_interval: '0.05s', max_interval: '0.2s' } },
              },
            },
          ],
        },
        cds_config: fromStream,
        lds_config: fromStream,
      },
      static_resources: {
        clusters: [
          {
            name: 'xds',
            type: 'STATIC',
            ...(transportSocket && { transport_socket: transportSocket }),
            connect_timeout: '1s',
            load_assignment: { cluster_name: 'xds', endpoints: [{ lb_endpoints: [{ endpoint: server }] }] },
            typed_extension_protocol_options: {
              'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
                '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
                explicit_http_config: { http2_protocol_options: {} },
              },
            },
          },
        ],
      },
    }),
  );
  return spawn(
    requireEnvoy(),
    ['-c', config, '--disable-hot-restart', '--concurrency', '1', '-l', 'warning', '--log-path', join(folder, 'log')],
    { stdio: 'ignore' },
  );
}

/** An application that always answers the same. */
export async function upstream(answer: string): Promise<{ readonly port: number; readonly close: () => void }> {
  const server = http.createServer((_, response) => response.end(answer));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

/** Status and body of a request to a port of 127.0.0.1, on a connection of its own. */
export function ask(
  port: number,
  path = '/',
  host?: string,
): Promise<{ readonly status: number; readonly body: string }> {
  return new Promise((resolve, reject) => {
    const headers = host === undefined ? {} : { host };
    const request = http.get({ host: '127.0.0.1', port, path, headers, agent: false, timeout: 20_000 }, (response) => {
      let body = '';
      response.on('data', (chunk) => {
        body += chunk;
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body }));
    });
    request.on('error', reject);
  });
}
