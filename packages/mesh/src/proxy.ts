import type { Fetch } from '@istio-ts/collections';
import { fields, list, text, textMap } from './kubernetes/read.ts';
import { missingFeatures } from './envoy-features.ts';
import { noLocality } from './locality.ts';
import type { Mesh } from './mesh.ts';
import type { Locality, ProxyType, ScopedProxy, Workload } from './model.ts';
import { canonical } from './workload.ts';

/** What a proxy says of itself when it connects. */
export interface ProxyDescription {
  readonly type: ProxyType;
  /** Name of its pod or machine. */
  readonly name: string;
  readonly namespace: string;
  readonly ipAddress: string;
  readonly dnsDomain: string;
  readonly locality: Locality;
  readonly metadata: Readonly<Record<string, unknown>>;
  /** Version of its Envoy, where it tells one. */
  readonly envoyVersion?: { readonly major: number; readonly minor: number } | undefined;
}

/** The facts of a proxy that its configuration may depend on. Proxies with equal facts are of one class and share everything. */
export interface ProxyFacts {
  readonly proxy: ScopedProxy;
  /** Named container ports: they say what a service's `targetPort` means for this workload. */
  readonly ports: Readonly<Record<string, number>>;
}

/** Node metadata that configuration may depend on; everything else (names, addresses, ...) would make each proxy a class of its own. */
const metadataFacts = [
  'APP_CONTAINERS',
  'DNS_AUTO_ALLOCATE',
  'DNS_CAPTURE',
  'ENABLE_HBONE',
  'ENABLE_SELF_DISCOVERY',
  'EXTENSION_SOURCE',
  'GENERATOR',
  'HTTP10',
  'HTTP_PROXY_PORT',
  'IDLE_TIMEOUT',
  'INBOUND_LISTENER_EXACT_BALANCE',
  'ISTIO_VERSION',
  'MESH_ID',
  'OUTBOUND_LISTENER_EXACT_BALANCE',
  'PROXY_CONFIG',
  'REQUESTED_NETWORK_VIEW',
  'ROUTER_MODE',
  'TLS_CLIENT_CERT_CHAIN',
  'TLS_CLIENT_KEY',
  'TLS_CLIENT_ROOT_CERT',
  'TLS_SERVER_CERT_CHAIN',
  'TLS_SERVER_KEY',
  'TLS_SERVER_ROOT_CERT',
  'UNPRIVILEGED_POD',
] as const;

/** The workload that a proxy belongs to, once the mesh knows it. */
export function workloadOfProxy(mesh: Mesh, description: ProxyDescription, fetch: Fetch): Workload | undefined {
  const { namespace, name } = description;
  return (
    fetch.get(mesh.workloads, `Pod/${namespace}/${name}`) ??
    fetch.get(mesh.workloads, `WorkloadEntry/${namespace}/${name}`) ??
    fetch.get(mesh.workloadsByAddress, description.ipAddress)?.find((workload) => workload.namespace === namespace)
  );
}

/**
 * The facts of a proxy: from its workload where the mesh knows it (labels may change while it runs), else from what it says. Addresses are kept
 * only for proxies that do not capture traffic, whose listeners are bound to them; for the others just the families matter, and those are given
 * as unspecified addresses (`0.0.0.0`, `::`).
 */
export function proxyFacts(mesh: Mesh, description: ProxyDescription, fetch: Fetch): ProxyFacts {
  const { metadata } = description;
  const workload = workloadOfProxy(mesh, description, fetch);
  const lacks = missingFeatures(description.envoyVersion);
  const labels = workload?.labels ?? textMap(metadata.LABELS);
  const workloadName = workload?.workloadName || text(metadata.WORKLOAD_NAME) || description.name;
  const mode = text(metadata.INTERCEPTION_MODE);
  const interceptionMode = mode === 'TPROXY' || mode === 'NONE' ? mode : 'REDIRECT';
  const addresses = instanceAddresses(description);
  return {
    proxy: {
      type: description.type,
      namespace: description.namespace,
      labels,
      clusterId: text(metadata.CLUSTER_ID) || mesh.options.clusterId,
      network: workload?.network || text(metadata.NETWORK),
      locality: workload && workload.locality.region !== '' ? workload.locality : (description.locality ?? noLocality),
      dnsDomain: description.dnsDomain,
      ipAddresses: interceptionMode === 'NONE' && description.type === 'sidecar' ? addresses : families(addresses),
      workloadName,
      ...canonical(labels, workloadName),
      serviceAccount: workload?.serviceAccount || text(metadata.SERVICE_ACCOUNT),
      istioVersion: text(metadata.ISTIO_VERSION),
      interceptionMode,
      ...(lacks && { lacks }),
      ...(mesh.options.wireFilters && { wireFilters: mesh.options.wireFilters }),
      ...(mesh.options.switches && { switches: mesh.options.switches }),
      metadata: {
        ...(mesh.options.http10 && { HTTP10: '1' }),
        ...Object.fromEntries(
          [...new Set([...metadataFacts, ...fetch.value(mesh.patchMetadata)])].flatMap((name) =>
            metadata[name] === undefined ? [] : [[name, metadata[name]]],
          ),
        ),
      },
    },
    ports: workload?.ports ?? metadataPorts(metadata),
  };
}

function instanceAddresses(description: ProxyDescription): readonly string[] {
  const listed = text(description.metadata.INSTANCE_IPS)
    .split(',')
    .map((address) => address.trim())
    .filter((address) => address !== '');
  return listed.length > 0 ? listed : [description.ipAddress];
}

function families(addresses: readonly string[]): readonly string[] {
  const found = new Set(addresses.map((address) => (address.includes(':') ? '::' : '0.0.0.0')));
  return [...found].sort();
}

/** Named ports as the injector puts them into node metadata: a JSON list of container ports. */
function metadataPorts(metadata: Readonly<Record<string, unknown>>): Readonly<Record<string, number>> {
  let value = metadata.POD_PORTS;
  if (typeof value === 'string') {
    try {
      value = JSON.parse(value);
    } catch {
      // What a proxy says of itself is not trusted to be JSON; it has no named ports then.
      return {};
    }
  }
  const ports: Record<string, number> = {};
  for (const entry of list(value)) {
    const { name, containerPort } = fields(entry);
    if (text(name) !== '' && typeof containerPort === 'number') ports[text(name)] = containerPort;
  }
  return ports;
}

/** One string for equal facts: the key of a class of proxies. */
export function factsKey(facts: ProxyFacts): string {
  return JSON.stringify(facts, (_key, value: unknown) =>
    typeof value === 'object' && value !== null && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
      : value,
  );
}
