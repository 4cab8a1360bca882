import type { Cluster } from '@istio-ts/envoy';
import { destinationRuleFor, keySourceName, serverOf, serviceHostOf } from '@istio-ts/mesh';
import type { Origin, ProxyScope, Service } from '@istio-ts/mesh/model';
import type { Generated } from '../generated.ts';
import { keyCluster, outboundCluster } from '../names.ts';
import { connectTimeout } from './connection-pool.ts';
import { effectivePolicy } from './traffic-policy.ts';
import { originatedTls } from './tls.ts';

type KeyScope = Pick<
  ProxyScope,
  'requestAuthentications' | 'tokenKeys' | 'serviceByHost' | 'destinationRules' | 'mesh' | 'proxy'
>;

interface KeyServer {
  readonly host: string;
  readonly port: number;
  readonly secure: boolean;
  /** The cluster of the mesh's service that it is. */
  readonly service: string | undefined;
}

/** The service that a URI's host is, by its full name or as `NAME.NAMESPACE.svc`. */
function serviceOf(scope: KeyScope, host: string): Service | undefined {
  const domain = scope.proxy.dnsDomain.slice(scope.proxy.dnsDomain.indexOf('.svc.') + '.svc.'.length);
  return scope.serviceByHost.get(host) ?? scope.serviceByHost.get(serviceHostOf(host, domain));
}

/** A service is asked by https only where a DestinationRule says how to speak TLS to it; else its cluster would send plain text. */
function speaks(scope: KeyScope, service: Service, port: number, secure: boolean): boolean {
  if (!service.ports.some(({ number }) => number === port)) return false;
  if (!secure) return true;
  const rule = destinationRuleFor(scope, service.hostname);
  const { tls } = effectivePolicy(rule?.spec, undefined, port, scope.mesh);
  return tls?.mode === 'SIMPLE' || tls?.mode === 'MUTUAL';
}

function keyServer(scope: KeyScope, uri: string): KeyServer | undefined {
  const server = serverOf(uri);
  if (server === undefined) return undefined;
  const service = serviceOf(scope, server.host);
  const known = service !== undefined && speaks(scope, service, server.port, server.secure);
  return { ...server, service: known ? outboundCluster(server.port, '', service.hostname) : undefined };
}

const clusterName = ({ host, port, secure, service }: KeyServer): string => service ?? keyCluster(host, port, secure);

function servers(scope: KeyScope): ReadonlyMap<string, KeyServer> {
  const result = new Map<string, KeyServer>();
  for (const { uri } of scope.tokenKeys?.values() ?? []) {
    const server = uri === undefined ? undefined : keyServer(scope, uri);
    if (uri !== undefined && server !== undefined) result.set(uri, server);
  }
  return result;
}

/** Clusters by which the proxy fetches keys of tokens itself, by URI. */
export const keyClusters = (scope: KeyScope): ReadonlyMap<string, string> =>
  new Map([...servers(scope)].map(([uri, server]) => [uri, clusterName(server)]));

/** Those of them that are no services of the mesh: reached by name, by https with a certificate that the system trusts. */
export function ownKeyClusters(scope: KeyScope): readonly Generated<Cluster>[] {
  const result = new Map<string, Generated<Cluster>>();
  for (const [uri, server] of servers(scope)) {
    if (server.service !== undefined) continue;
    const { host, port, secure } = server;
    const name = clusterName(server);
    const endpoint = { address: { socketAddress: { address: host, portValue: port } } };
    result.set(name, {
      resource: {
        name,
        type: 'STRICT_DNS',
        connectTimeout: connectTimeout(undefined, scope.mesh),
        dnsLookupFamily: 'AUTO',
        loadAssignment: { clusterName: name, endpoints: [{ lbEndpoints: [{ endpoint }] }] },
        ...(secure && {
          transportSocket: originatedTls(
            { mode: 'SIMPLE', sni: host, subjectAltNames: [host], insecureSkipVerify: false },
            // Keys are worth nothing when it is not sure who sent them.
            { ...scope.mesh, verifyCertificateAtClient: true },
            [],
            undefined,
          ),
        }),
      },
      origins: originsOf(scope, uri),
    });
  }
  return [...result.values()];
}

const originsOf = ({ requestAuthentications, tokenKeys }: KeyScope, uri: string): readonly Origin[] =>
  requestAuthentications
    .filter(({ spec }) => (spec.jwtRules ?? []).some((rule) => tokenKeys?.get(keySourceName(rule) ?? '')?.uri === uri))
    .map(({ origin }) => origin);
