import type { EndpointSlice, Service, SliceEndpoint } from '../controllers/kinds.ts';

/** A DNS record of the cluster domain. */
export type Record_ =
  | { readonly type: 'A' | 'AAAA'; readonly name: string; readonly address: string }
  | { readonly type: 'CNAME' | 'PTR'; readonly name: string; readonly target: string }
  | {
      readonly type: 'SRV';
      readonly name: string;
      readonly target: string;
      readonly port: number;
      readonly priority: number;
      readonly weight: number;
    };

export interface ZoneAnswer {
  /** `NXDOMAIN` when the name does not exist, `NOERROR` also when it has no record of the type. */
  readonly code: 'NOERROR' | 'NXDOMAIN';
  readonly records: readonly Record_[];
  /** An ExternalName leads out of the cluster: this name is to be resolved as well. */
  readonly continueWith: string | undefined;
}

/** What the zone is made of. */
export interface ZoneSource {
  service(namespace: string, name: string): Service | undefined;
  slices(namespace: string, service: string): readonly EndpointSlice[];
  hasNamespace(namespace: string): boolean;
  /** Service with this ClusterIP. */
  serviceByIP(address: string): Service | undefined;
  /** Endpoint of a headless service with this address. */
  endpointByIP(
    address: string,
  ): { readonly namespace: string; readonly service: string; readonly endpoint: SliceEndpoint } | undefined;
}

const NOT_FOUND: ZoneAnswer = { code: 'NXDOMAIN', records: [], continueWith: undefined };

/**
 * Answers a question about the cluster's domain (Kubernetes DNS-Based Service Discovery, version 1.1.0); undefined when the name is not in it.
 * Names are compared without case and without the final dot.
 */
export function lookupZone(source: ZoneSource, domain: string, question: string, type: string): ZoneAnswer | undefined {
  const name = question.toLowerCase().replace(/\.$/, '');
  const reverse = /^(\d+)\.(\d+)\.(\d+)\.(\d+)\.in-addr\.arpa$/.exec(name);
  if (reverse !== null) return reverseAnswer(source, domain, name, [4, 3, 2, 1].map((i) => reverse[i]).join('.'), type);
  if (name !== domain && !name.endsWith(`.${domain}`)) return undefined;
  const labels = name === domain ? [] : name.slice(0, -domain.length - 1).split('.');
  const empty: ZoneAnswer = { code: 'NOERROR', records: [], continueWith: undefined };
  const kind = labels.at(-1);
  if (labels.length === 0) return empty;
  if (kind === 'pod') return podAnswer(source, labels.slice(0, -1), name, type);
  if (kind !== 'svc') {
    // CoreDNS publishes the version of this schema here.
    return NOT_FOUND;
  }
  const path = labels.slice(0, -1);
  if (path.length === 0) return empty;
  const namespace = path.at(-1) ?? '';
  if (path.length === 1) return source.hasNamespace(namespace) ? empty : NOT_FOUND;
  const serviceName = path.at(-2) ?? '';
  const service = source.service(namespace, serviceName);
  if (service === undefined) return NOT_FOUND;
  return serviceAnswer(source, service, namespace, serviceName, path.slice(0, -2), name, domain, type);
}

function serviceAnswer(
  source: ZoneSource,
  service: Service,
  namespace: string,
  serviceName: string,
  prefix: readonly string[],
  name: string,
  domain: string,
  type: string,
): ZoneAnswer {
  const { clusterIP } = service.spec;
  const base = `${serviceName}.${namespace}.svc.${domain}`;
  const found = (records: readonly Record_[]): ZoneAnswer => ({
    code: 'NOERROR',
    records: records.filter((record) => record.type === type || type === 'ANY'),
    continueWith: undefined,
  });
  if (service.spec.type === 'ExternalName') {
    if (prefix.length > 0) return NOT_FOUND;
    const target = (service.spec.externalName ?? '').replace(/\.$/, '');
    return {
      code: 'NOERROR',
      records: [{ type: 'CNAME', name, target }],
      continueWith: type === 'CNAME' ? undefined : target,
    };
  }
  const headless = clusterIP === 'None' || clusterIP === undefined || clusterIP === '';
  if (!headless) {
    if (prefix.length === 0) {
      const records: Record_[] = [addressRecord(name, clusterIP)];
      if (type === 'SRV') records.push(...(service.spec.ports ?? []).map((port) => srv(name, base, port.port)));
      return found(records);
    }
    const port = namedPort(prefix);
    if (port === undefined) return NOT_FOUND;
    const match = (service.spec.ports ?? []).find(
      (candidate) => candidate.name === port.name && (candidate.protocol ?? 'TCP').toLowerCase() === port.protocol,
    );
    return match === undefined ? NOT_FOUND : found([srv(name, base, match.port)]);
  }
  const slices = source.slices(namespace, serviceName);
  const publish = service.spec.publishNotReadyAddresses === true;
  const endpoints = slices.flatMap((slice) =>
    (slice.endpoints ?? [])
      .filter((endpoint) => publish || endpoint.conditions?.ready !== false)
      .map((endpoint) => ({ endpoint, slice })),
  );
  if (prefix.length === 0) {
    const records: Record_[] = endpoints.flatMap(({ endpoint }) =>
      endpoint.addresses.map((address) => addressRecord(name, address)),
    );
    if (type === 'SRV') {
      for (const { endpoint, slice } of endpoints) {
        for (const port of slice.ports ?? []) {
          records.push(srv(name, `${endpointLabel(endpoint)}.${base}`, port.port ?? 0));
        }
      }
    }
    return found(unique(records));
  }
  if (prefix.length === 1) {
    const own = endpoints.filter(({ endpoint }) => endpointLabel(endpoint) === prefix[0]);
    if (own.length === 0) return NOT_FOUND;
    return found(
      unique(own.flatMap(({ endpoint }) => endpoint.addresses.map((address) => addressRecord(name, address)))),
    );
  }
  const port = namedPort(prefix);
  if (port === undefined) return NOT_FOUND;
  const records = endpoints.flatMap(({ endpoint, slice }) =>
    (slice.ports ?? [])
      .filter((item) => item.name === port.name && (item.protocol ?? 'TCP').toLowerCase() === port.protocol)
      .map((item) => srv(name, `${endpointLabel(endpoint)}.${base}`, item.port ?? 0)),
  );
  return records.length === 0 ? NOT_FOUND : found(unique(records));
}

/** `_http._tcp` before a service. */
function namedPort(prefix: readonly string[]): { readonly name: string; readonly protocol: string } | undefined {
  const [port = '', protocol = ''] = prefix;
  if (prefix.length !== 2 || !port.startsWith('_') || !protocol.startsWith('_')) return undefined;
  return { name: port.slice(1), protocol: protocol.slice(1) };
}

function endpointLabel(endpoint: SliceEndpoint): string {
  return (endpoint.hostname ?? (endpoint.addresses[0] ?? '').replaceAll(/[.:]/g, '-')).toLowerCase();
}

function addressRecord(name: string, address: string): Record_ {
  return { type: address.includes(':') ? 'AAAA' : 'A', name, address };
}

function srv(name: string, target: string, port: number): Record_ {
  return { type: 'SRV', name, target, port, priority: 0, weight: 100 };
}

function podAnswer(source: ZoneSource, path: readonly string[], name: string, type: string): ZoneAnswer {
  const [dashed = '', namespace = ''] = path;
  const empty: ZoneAnswer = { code: 'NOERROR', records: [], continueWith: undefined };
  if (path.length === 1) return source.hasNamespace(dashed) ? empty : NOT_FOUND;
  if (path.length !== 2 || !source.hasNamespace(namespace)) return NOT_FOUND;
  const address = dashed.replaceAll('-', '.');
  if (!/^\d{1,3}(\.\d{1,3}){3}$/.test(address)) return NOT_FOUND;
  return type === 'A' ? { ...empty, records: [{ type: 'A', name, address }] } : empty;
}

function reverseAnswer(
  source: ZoneSource,
  domain: string,
  name: string,
  address: string,
  type: string,
): ZoneAnswer | undefined {
  const service = source.serviceByIP(address);
  let target: string | undefined;
  if (service !== undefined) target = `${service.metadata.name}.${service.metadata.namespace}.svc.${domain}`;
  else {
    const found = source.endpointByIP(address);
    if (found !== undefined) {
      target = `${endpointLabel(found.endpoint)}.${found.service}.${found.namespace}.svc.${domain}`;
    }
  }
  if (target === undefined) return address.startsWith('10.') ? NOT_FOUND : undefined;
  return {
    code: 'NOERROR',
    records: type === 'PTR' || type === 'ANY' ? [{ type: 'PTR', name, target }] : [],
    continueWith: undefined,
  };
}

function unique(records: readonly Record_[]): Record_[] {
  const seen = new Set<string>();
  return records.filter((record) => {
    const key = JSON.stringify(record);
    if (seen.has(key)) return false;
    seen.add(key);
    return true;
  });
}
