import type { AddressInfo } from 'node:net';
import { decode, encode } from '@istio-ts/envoy';
import { createGrpcServer } from '@istio-ts/envoy/grpc/server';
import type { GrpcServerOptions, ServerCall } from '@istio-ts/envoy/grpc/server';
import { GrpcError } from '@istio-ts/envoy/grpc/status';
import { HEALTH_TYPE } from './discovery/client.ts';
import { createRootCertificate, istiodDnsNames, loadAuthority } from '@istio-ts/security';

const TYPE = 'type.googleapis.com/';

/** A resource in ProtoJSON with its type, as the fake control plane serves it. */
export interface Served {
  readonly name: string;
  readonly resource: { readonly '@type': string; readonly [field: string]: unknown };
}

export interface FakeIstiodOptions {
  readonly ttlMs?: number;
  /** Also served in plain text, on a port of its own. */
  readonly plain?: boolean;
}

/** A control plane with nothing but a CA and fixed resources, on a loopback port, for tests of the agent. */
export async function startFakeIstiod(resources: readonly Served[], options: FakeIstiodOptions = {}) {
  const authority = loadAuthority(createRootCertificate({ organization: 'cluster.local', now: new Date() }));
  const own = authority.issueServer({ dnsNames: istiodDnsNames('istio-system'), now: new Date() });
  const tokens: string[] = [];
  /** Identities of client certificates that certificates were asked for with, and lifetimes in seconds. */
  const requesters: string[] = [];
  const ttls: number[] = [];
  const peers: (readonly string[])[] = [];
  const nodes: {
    readonly id?: string;
    readonly cluster?: string;
    readonly metadata?: Readonly<Record<string, unknown>>;
  }[] = [];
  /** What agents told of their applications: the message of an error, '' for a healthy one. */
  const reports: string[] = [];
  let failures = 0;
  let issued = 0;
  const methods: GrpcServerOptions['methods'] = {
    '/istio.v1.auth.IstioCertificateService/CreateCertificate': {
      kind: 'unary',
      handle: (bytes, call) => {
        tokens.push(call.metadata.authorization ?? '');
        if (failures > 0) {
          failures--;
          throw new GrpcError('UNAVAILABLE', 'not yet');
        }
        issued++;
        const request = decode('istio.v1.auth.IstioCertificateRequest', bytes);
        requesters.push(...call.peer.uris);
        ttls.push(Number(request.validityDuration ?? 0));
        const certificate = authority.sign({
          csr: request.csr ?? '',
          identity: { trustDomain: 'cluster.local', namespace: 'shop', serviceAccount: 'cart' },
          subject: { workload: 'cart', canonicalName: 'cart', version: 'v1', cluster: 'Kubernetes' },
          ttl: options.ttlMs,
          now: new Date(),
        });
        return encode('istio.v1.auth.IstioCertificateResponse', { certChain: certificate.response });
      },
    },
    '/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources': {
      kind: 'stream',
      handle: serveDelta,
    },
    '/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources': {
      kind: 'stream',
      handle: serveWorld,
    },
  };
  const server = createGrpcServer({ tls: { key: own.key, cert: own.chain, ca: authority.root }, methods });
  const plainServer = createGrpcServer({ methods });

  async function serveDelta(call: ServerCall): Promise<void> {
    peers.push(call.peer.uris);
    let nonce = 0;
    for await (const bytes of call.messages()) {
      const request = decode('envoy.service.discovery.v3.DeltaDiscoveryRequest', bytes);
      if (request.node !== undefined && nodes.length < 10) nodes.push(request.node as (typeof nodes)[number]);
      if (request.errorDetail !== undefined) throw new Error(`Envoy refused: ${request.errorDetail.message}`);
      if (request.responseNonce) continue;
      const matching = resources.filter((entry) => entry.resource['@type'] === request.typeUrl);
      await call.write(
        encode('envoy.service.discovery.v3.DeltaDiscoveryResponse', {
          typeUrl: request.typeUrl,
          nonce: String(++nonce),
          resources: matching.map((entry) => ({ name: entry.name, version: '1', resource: entry.resource })),
        }),
      );
    }
  }

  /** The protocol that agents speak themselves. */
  async function serveWorld(call: ServerCall): Promise<void> {
    let asked = '';
    for await (const bytes of call.messages()) {
      const request = decode('envoy.service.discovery.v3.DiscoveryRequest', bytes);
      if (request.typeUrl === HEALTH_TYPE) {
        reports.push(request.errorDetail?.message ?? '');
        continue;
      }
      const names = request.resourceNames ?? [];
      const now = JSON.stringify([request.typeUrl, names]);
      if (now === asked) continue;
      asked = now;
      await call.write(
        encode('envoy.service.discovery.v3.DiscoveryResponse', {
          typeUrl: request.typeUrl,
          versionInfo: '1',
          nonce: now,
          resources: resources
            .filter(
              ({ name, resource }) =>
                resource['@type'] === request.typeUrl && (names.length === 0 || names.includes(name)),
            )
            .map(({ resource }) => resource),
        }),
      );
    }
  }

  const address = (await server.listen({ host: '127.0.0.1', port: 0 })) as AddressInfo;
  const plain = options.plain ? ((await plainServer.listen({ host: '127.0.0.1', port: 0 })) as AddressInfo) : undefined;
  return {
    address: `127.0.0.1:${address.port}`,
    plainAddress: `127.0.0.1:${plain?.port ?? 0}`,
    authority,
    reports,
    tokens,
    requesters,
    ttls,
    peers,
    nodes,
    get issued() {
      return issued;
    },
    failNext(count: number) {
      failures = count;
    },
    close: async () => {
      await server.close(100);
      if (plain) await plainServer.close(100);
    },
  };
}

/** A listener with mutual TLS from the agent's secrets that answers every request itself and counts it as Istio's metric. */
export function mutualTlsListener(
  port: number,
  tls: boolean,
  more: { readonly statPrefix?: string; readonly accessLog?: readonly object[] } = {},
): Served {
  const sdsConfig = {
    apiConfigSource: {
      apiType: 'GRPC',
      transportApiVersion: 'V3',
      grpcServices: [{ envoyGrpc: { clusterName: 'sds-grpc' } }],
    },
    resourceApiVersion: 'V3',
  };
  return {
    name: `test_${port}`,
    resource: {
      '@type': `${TYPE}envoy.config.listener.v3.Listener`,
      name: `test_${port}`,
      address: { socketAddress: { address: '127.0.0.1', portValue: port } },
      filterChains: [
        {
          ...(tls
            ? {
                transportSocket: {
                  name: 'envoy.transport_sockets.tls',
                  typedConfig: {
                    '@type': `${TYPE}envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext`,
                    requireClientCertificate: true,
                    commonTlsContext: {
                      alpnProtocols: ['http/1.1'],
                      tlsCertificateSdsSecretConfigs: [{ name: 'default', sdsConfig }],
                      validationContextSdsSecretConfig: { name: 'ROOTCA', sdsConfig },
                    },
                  },
                },
              }
            : {}),
          filters: [
            {
              name: 'envoy.filters.network.http_connection_manager',
              typedConfig: {
                '@type': `${TYPE}envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager`,
                statPrefix: more.statPrefix ?? 'inbound_test',
                accessLog: [
                  ...(more.accessLog ?? []),
                  {
                    name: 'envoy.access_loggers.stats',
                    typedConfig: {
                      '@type': `${TYPE}envoy.extensions.access_loggers.stats.v3.Config`,
                      statsScope: { prefix: 'wasmcustom', sharingName: 'istio', enableEviction: true },
                      counters: [
                        {
                          stat: {
                            name: 'istio_requests_total',
                            tags: [{ name: 'response_code', valueFormat: '%RESPONSE_CODE%' }],
                          },
                          valueFixed: 1,
                        },
                      ],
                    },
                  },
                ],
                routeConfig: {
                  virtualHosts: [
                    {
                      name: 'all',
                      domains: ['*'],
                      routes: [
                        { match: { prefix: '/' }, directResponse: { status: 200, body: { inlineString: 'hello' } } },
                      ],
                    },
                  ],
                },
                httpFilters: [
                  {
                    name: 'envoy.filters.http.router',
                    typedConfig: { '@type': `${TYPE}envoy.extensions.filters.http.router.v3.Router` },
                  },
                ],
              },
            },
          ],
        },
      ],
    },
  };
}
