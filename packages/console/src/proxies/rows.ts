import { formatAddress, readAddress } from '@istio-ts/envoy-dump/address';
import { parseClusterName } from '@istio-ts/envoy-dump/cluster';
import { clusterType } from '@istio-ts/envoy-dump/cluster';
import { assignmentsOf, type ConfigDump, clustersOf, listenersOf, routesOf } from '@istio-ts/envoy-dump/config-dump';
import { assignedEndpoints } from '@istio-ts/envoy-dump/endpoint';
import { type Json, list, text, texts } from '@istio-ts/envoy-dump/json';
import {
  addressesOf,
  chainMatch,
  chainsOf,
  destinationOf,
  portOf,
  typeOfListener,
} from '@istio-ts/envoy-dump/listener';
import { domainSummary, matchOf } from '@istio-ts/envoy-dump/route';
import { secretRows } from '@istio-ts/envoy-dump/secret';
import { parseCertificates } from '@istio-ts/security';
import type { CertificateState, ObjectName, ProxyDetail, ProxyRow } from '../api.ts';
import { serviceOf } from '../mesh/hosts.ts';
import { domainSuffix } from '../sources/mesh-reader.ts';
import { originsOf, withoutSecrets } from './provenance.ts';

/** A row; `clusters` are those that it leads to: their services are among what it came from. */
const row = (
  name: string,
  cells: Readonly<Record<string, string>>,
  json: Json,
  clusters: readonly string[] = [],
): ProxyRow => ({
  name,
  cells,
  from: [...originsOf(json), ...servicesOf(clusters, originsOf(json))],
  json: withoutSecrets(json),
});

/** The services of Kubernetes that clusters forward to, without those that are known already. */
function servicesOf(clusters: readonly string[], known: readonly ObjectName[]): readonly ObjectName[] {
  const services = clusters.flatMap((name) => {
    const service = serviceOf(parseClusterName(name).fqdn, domainSuffix);
    return service ? [{ kind: 'Service', ...service }] : [];
  });
  const distinct = new Map(services.map((service) => [`${service.namespace}/${service.name}`, service]));
  for (const { kind, namespace, name } of known) if (kind === 'Service') distinct.delete(`${namespace}/${name}`);
  return [...distinct.values()];
}

/** The clusters that a filter chain or a route leads to, without the routes of another resource. */
function clustersIn(value: unknown, depth = 0): readonly string[] {
  if (depth > 30 || typeof value !== 'object' || value === null) return [];
  if (Array.isArray(value)) return value.flatMap((item) => clustersIn(item, depth + 1));
  return Object.entries(value).flatMap(([key, child]) => {
    if (key === 'cluster' && typeof child === 'string') return [child];
    if (key === 'weightedClusters') return list((child as Json | null)?.clusters).map(({ name }) => text(name));
    return clustersIn(child, depth + 1);
  });
}

function listenerRow(listener: Json): ProxyRow {
  const chains = chainsOf(listener);
  const [first] = chains;
  const address = addressesOf(listener).join(', ');
  return row(
    text(listener.name) || `${address}:${portOf(listener)}`,
    {
      Address: address,
      Port: String(portOf(listener)),
      Type: typeOfListener(listener),
      Match: chains.length === 1 && first ? chainMatch(first) : `${chains.length} filter chains`,
      Destination: [...new Set(chains.map(destinationOf))].slice(0, 3).join('; '),
    },
    listener,
    clustersIn(chains),
  );
}

function routeRows(config: Json): readonly ProxyRow[] {
  const name = text(config.name) || 'static';
  return list(config.virtualHosts).flatMap((host) => {
    const domains = domainSummary(texts(host.domains));
    return list(host.routes).map((route, index) =>
      row(
        `${name}/${text(host.name)}/${text(route.name) || index}`,
        {
          Configuration: name,
          'Virtual host': text(host.name),
          Domains: domains,
          Match: matchOf(route),
          Destination: routeDestination(route),
        },
        route,
        clustersIn(route.route),
      ),
    );
  });
}

/** Where a route leads, for people. */
function routeDestination(route: Json): string {
  const inner = (value: unknown): Json => (typeof value === 'object' && value !== null ? (value as Json) : {});
  const action = inner(route.route);
  const weighted = list(inner(action.weightedClusters).clusters);
  if (weighted.length > 0) return weighted.map(({ name, weight }) => `${text(name)} (${text(weight)})`).join(', ');
  if (text(action.cluster) !== '') return text(action.cluster);
  if (text(action.clusterHeader) !== '') return `cluster of header ${text(action.clusterHeader)}`;
  if (route.redirect !== undefined) return 'redirect';
  if (route.directResponse !== undefined) return `answers ${text(inner(route.directResponse).status)}`;
  return '';
}

function clusterRow(cluster: Json): ProxyRow {
  const name = text(cluster.name);
  const { fqdn, port, subset, direction } = parseClusterName(name);
  return row(
    name,
    {
      Host: fqdn,
      Port: port === undefined ? '' : String(port),
      Subset: subset,
      Direction: direction,
      Type: clusterType(cluster),
    },
    cluster,
  );
}

function endpointRows(assignment: Json): readonly ProxyRow[] {
  const endpoints = list(assignment.endpoints).flatMap(({ lbEndpoints }) => list(lbEndpoints));
  return assignedEndpoints([assignment]).map((endpoint, at) =>
    row(
      `${endpoint.cluster} ${formatAddress(endpoint)}`,
      {
        Address: formatAddress(endpoint),
        Status: endpoint.status,
        Locality: endpoint.locality,
        Cluster: endpoint.cluster,
      },
      endpoints[at] ?? {},
      [endpoint.cluster],
    ),
  );
}

/** Addresses that stand in clusters themselves: Envoy's dump tells those of EDS only besides. */
function staticEndpointRows(cluster: Json, assigned: ReadonlySet<string>): readonly ProxyRow[] {
  const { loadAssignment } = cluster;
  if (loadAssignment === undefined || assigned.has(text(cluster.name))) return [];
  return list((loadAssignment as Json).endpoints).flatMap(({ lbEndpoints }) =>
    list(lbEndpoints).map((endpoint) => {
      const address = formatAddress(readAddress((endpoint.endpoint as Json | undefined)?.address));
      return row(
        `${text(cluster.name)} ${address}`,
        {
          Address: address,
          Status: text(endpoint.healthStatus) || 'HEALTHY',
          Locality: '',
          Cluster: text(cluster.name),
        },
        endpoint,
      );
    }),
  );
}

const byName = (a: ProxyRow, b: ProxyRow): number => a.name.localeCompare(b.name, 'en', { numeric: true });

/** The tables of a proxy's configuration. Pure. */
export function proxyRows(dump: ConfigDump): Pick<ProxyDetail, 'listeners' | 'routes' | 'clusters' | 'endpoints'> {
  const assignments = assignmentsOf(dump);
  const assigned = new Set(assignments.map(({ clusterName }) => text(clusterName)));
  const clusters = clustersOf(dump);
  return {
    listeners: listenersOf(dump).map(listenerRow).sort(byName),
    routes: routesOf(dump).flatMap(routeRows).sort(byName),
    clusters: clusters.map(clusterRow).sort(byName),
    endpoints: [
      ...assignments.flatMap(endpointRows),
      ...clusters.flatMap((cluster) => staticEndpointRows(cluster, assigned)),
    ].sort(byName),
  };
}

/** The certificates that a proxy has, those of chains in their order. Pure; `now` in milliseconds. */
export function certificatesOf(dump: ConfigDump, now: number): readonly CertificateState[] {
  const states = secretRows(dump).flatMap(({ name, type, pem }) => {
    if (pem === undefined || type === '') return [];
    try {
      return parseCertificates(pem).map((certificate): CertificateState => {
        const [notBefore, notAfter] = [certificate.notBefore.getTime(), certificate.notAfter.getTime()];
        return {
          name,
          type: type === 'CA' ? 'root' : 'chain',
          identities: certificate.spiffe !== undefined ? [certificate.spiffe] : [certificate.subject],
          serial: certificate.serial,
          notBefore,
          notAfter,
          valid: notBefore <= now && now <= notAfter,
        };
      });
    } catch {
      // A certificate that cannot be read is shown by the proxy's own rows.
      return [];
    }
  });
  return [...new Map(states.map((state) => [`${state.name} ${state.serial} ${state.type}`, state])).values()];
}
