import type { ObjectName } from '../api.ts';

/** Kinds as they stand in the paths of Envoy's metadata `istio.config`: with hyphens, or just in small letters. */
const kinds = [
  'VirtualService',
  'DestinationRule',
  'Gateway',
  'ServiceEntry',
  'Sidecar',
  'EnvoyFilter',
  'WorkloadEntry',
  'Service',
  'HTTPRoute',
  'GRPCRoute',
  'TLSRoute',
  'TCPRoute',
  'WasmPlugin',
  'Telemetry',
  'AuthorizationPolicy',
  'RequestAuthentication',
  'PeerAuthentication',
] as const;

const plain = (kind: string): string => kind.toLowerCase().replaceAll('-', '');
const byPlainName = new Map(kinds.map((kind) => [plain(kind), kind]));

/** The object of a path `/apis/networking.istio.io/v1/namespaces/NS/virtual-service/NAME`. */
export function objectOfPath(path: string): ObjectName | undefined {
  const [, group = '', namespace = '', found = '', name = ''] =
    /^\/apis\/([^/]+)\/[^/]+\/namespaces\/([^/]+)\/([^/]+)\/([^/]+)$/.exec(path) ?? [];
  const kind = byPlainName.get(plain(found));
  if (kind === undefined || name === '') return undefined;
  return {
    kind: kind === 'Gateway' && group === 'gateway.networking.k8s.io' ? 'KubernetesGateway' : kind,
    namespace,
    name,
  };
}

/** Names of RBAC policies tell the AuthorizationPolicy: `ns[default]-policy[allow-get]-rule[0]`. */
const policyName = /^(?:istio-ext-authz-)?ns\[([^\]]+)\]-policy\[([^\]]+)\]/;

/**
 * The objects of the mesh that a resource of Envoy came from: by the metadata `istio.config` of it and of all in it, by the names of authorization
 * rules, and by the services that a cluster's metadata names.
 */
export function originsOf(resource: unknown): readonly ObjectName[] {
  const found = new Map<string, ObjectName>();
  const add = (object: ObjectName | undefined): void => {
    if (object) found.set(`${object.kind} ${object.namespace}/${object.name}`, object);
  };
  const walk = (value: unknown, depth: number): void => {
    if (depth > 40 || typeof value !== 'object' || value === null) return;
    if (Array.isArray(value)) {
      for (const item of value) walk(item, depth + 1);
      return;
    }
    for (const [key, child] of Object.entries(value)) {
      const [, namespace, name] = policyName.exec(key) ?? [];
      if (namespace !== undefined && name !== undefined) add({ kind: 'AuthorizationPolicy', namespace, name });
      if (key === 'filterMetadata') readMetadata(child, add);
      walk(child, depth + 1);
    }
  };
  walk(resource, 0);
  return [...found.values()].sort((a, b) =>
    `${a.kind} ${a.namespace}/${a.name}` < `${b.kind} ${b.namespace}/${b.name}` ? -1 : 1,
  );
}

function readMetadata(metadata: unknown, add: (object: ObjectName | undefined) => void): void {
  const istio = (metadata as { readonly istio?: { readonly config?: unknown; readonly services?: unknown } } | null)
    ?.istio;
  if (typeof istio?.config === 'string') add(objectOfPath(istio.config));
  if (!Array.isArray(istio?.services)) return;
  for (const service of istio.services as readonly {
    readonly name?: unknown;
    readonly namespace?: unknown;
    readonly host?: unknown;
  }[]) {
    const { name, namespace, host } = service ?? {};
    if (typeof name !== 'string' || typeof namespace !== 'string' || name === '' || namespace === '') continue;
    // Services of ServiceEntries go by their host.
    if (typeof host === 'string' && /\.svc\./.test(host)) add({ kind: 'Service', namespace, name });
  }
}

/** Fields that are secrets whatever is in them. */
const secret = new Set(['privateKey', 'password', 'hmacSecret', 'tokenSecret', 'sessionTicketKeys', 'clientSecret']);

/** A copy with secrets blanked out. */
export function withoutSecrets(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutSecrets);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, child]) => [key, secret.has(key) ? '[blanked out]' : withoutSecrets(child)]),
  );
}
