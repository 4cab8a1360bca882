import type { XdsResource } from '@istio-ts/xds';
import type { ConnectedProxy } from './connections.ts';
import { TypeUrl } from './resource-kinds.ts';

type Json = Readonly<Record<string, unknown>>;

/**
 * What a proxy is meant to have, in the form of Envoy's own /config_dump (envoy.admin.v3.ConfigDump), so that the same
 * tools read both. Private keys are blanked.
 */
export function configDump(proxy: ConnectedProxy): Json {
  const of = (typeUrl: string): Json[] =>
    [...proxy.view.resources(typeUrl).values()].sort((a, b) => (a.name < b.name ? -1 : 1)).map(withType);
  // A view may have routes and endpoints that this proxy has not asked for: they are not sent to it.
  const asked = (typeUrl: string): Json[] => {
    const watched = proxy.statuses().find((status) => status.typeUrl === typeUrl);
    if (watched === undefined || watched.wildcard) return of(typeUrl);
    const names = new Set(watched.names);
    return [...proxy.view.resources(typeUrl).values()]
      .filter(({ name }) => names.has(name))
      .sort((a, b) => (a.name < b.name ? -1 : 1))
      .map(withType);
  };
  const versions = new Map(proxy.statuses().map((status) => [status.typeUrl, status]));
  const updated = (typeUrl: string): { lastUpdated?: string } => {
    const at = versions.get(typeUrl)?.sentAt;
    return at === undefined ? {} : { lastUpdated: new Date(at).toISOString() };
  };
  const versionInfo = (typeUrl: string): string => versions.get(typeUrl)?.nonceAcked ?? '';
  return {
    configs: [
      {
        '@type': 'type.googleapis.com/envoy.admin.v3.ClustersConfigDump',
        versionInfo: versionInfo(TypeUrl.cluster),
        dynamicActiveClusters: of(TypeUrl.cluster).map((cluster) => ({ cluster, ...updated(TypeUrl.cluster) })),
      },
      {
        '@type': 'type.googleapis.com/envoy.admin.v3.ListenersConfigDump',
        versionInfo: versionInfo(TypeUrl.listener),
        dynamicListeners: of(TypeUrl.listener).map((listener) => ({
          name: listener.name,
          activeState: { listener, ...updated(TypeUrl.listener) },
        })),
      },
      {
        '@type': 'type.googleapis.com/envoy.admin.v3.RoutesConfigDump',
        dynamicRouteConfigs: asked(TypeUrl.route).map((routes) => ({
          routeConfig: withHosts(proxy, routes),
          ...updated(TypeUrl.route),
        })),
      },
      {
        '@type': 'type.googleapis.com/envoy.admin.v3.EndpointsConfigDump',
        dynamicEndpointConfigs: asked(TypeUrl.endpoint).map((endpointConfig) => ({ endpointConfig })),
      },
      {
        '@type': 'type.googleapis.com/envoy.admin.v3.SecretsConfigDump',
        dynamicActiveSecrets: of(TypeUrl.secret).map((secret) => ({ name: secret.name, secret: redact(secret) })),
      },
      {
        '@type': 'type.googleapis.com/envoy.admin.v3.EcdsConfigDump',
        ecdsFilters: of(TypeUrl.extension).map((ecdsFilter) => ({ ecdsFilter })),
      },
    ],
  };
}

/** A route configuration with the hosts that are sent one by one, as Envoy merges them; under the names that they have in the mesh. */
function withHosts(proxy: ConnectedProxy, routes: Json): Json {
  const name = String(routes.name);
  const hosts = proxy.view.virtualHosts?.()?.get(name);
  if (hosts === undefined) return routes;
  const { vhds: _vhds, virtualHosts, ...rest } = routes;
  const merged = [...hosts.values()].map((host) => ({
    ...(host.json() as Json),
    name: host.name.slice(name.length + 1),
  }));
  return { ...rest, virtualHosts: [...merged, ...(Array.isArray(virtualHosts) ? virtualHosts : [])] };
}

function withType(resource: XdsResource): Json {
  return { '@type': resource.typeUrl, ...(resource.json() as Json) };
}

const SECRET_FIELDS = new Set(['privateKey', 'password', 'secret', 'inlineBytes', 'inlineString', 'keys']);
const REDACTED = Buffer.from('[redacted]').toString('base64');

/** Blanks everything of a Secret but its certificates. */
export function redact(secret: Json): Json {
  const visit = (value: unknown, inCertificate: boolean): unknown => {
    if (Array.isArray(value)) return value.map((item) => visit(item, inCertificate));
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(
      Object.entries(value).map(([key, inner]) => {
        if (key === 'certificateChain' || key === 'trustedCa' || key === 'crl') return [key, visit(inner, true)];
        if (!inCertificate && SECRET_FIELDS.has(key)) return [key, { inlineBytes: REDACTED }];
        return [key, visit(inner, inCertificate)];
      }),
    );
  };
  return visit(secret, false) as Json;
}
