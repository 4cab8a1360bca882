import { kindsByName, meshConfig, meshNetworks } from '@istio-ts/api';
import type { AnySchema, Shape } from '@istio-ts/api/schema/schema';

/**
 * What shapes traffic: the kinds of https://istio.io/latest/docs/reference/config/networking/ with WasmPlugin, and MeshConfig (whose `defaultConfig` is the
 * ProxyConfig that pods may override) with the MeshNetworks beside it.
 */
export const networkingKinds = [
  'VirtualService',
  'DestinationRule',
  'Gateway',
  'ServiceEntry',
  'WorkloadEntry',
  'WorkloadGroup',
  'Sidecar',
  'EnvoyFilter',
  'ProxyConfig',
  'WasmPlugin',
  'MeshConfig',
  'MeshNetworks',
] as const;
export type NetworkingKind = (typeof networkingKinds)[number];

/** Who may talk to whom: https://istio.io/latest/docs/reference/config/security/, and what of MeshConfig is about certificates and external authorisers. */
export const securityKinds = [
  'PeerAuthentication',
  'RequestAuthentication',
  'AuthorizationPolicy',
  'MeshConfig (security)',
] as const;
export type SecurityKind = (typeof securityKinds)[number];

/** What the mesh tells: https://istio.io/latest/docs/reference/config/telemetry/, and what of MeshConfig is about logs, metrics and traces. */
export const telemetryKinds = ['Telemetry', 'MeshConfig (telemetry)'] as const;
export type TelemetryKind = (typeof telemetryKinds)[number];

export const fieldKinds = [...networkingKinds, ...securityKinds, ...telemetryKinds] as const;
export type FieldKind = NetworkingKind | SecurityKind | TelemetryKind;

/** The parts of MeshConfig that stand with the security and the telemetry kinds, by their fields. */
const meshParts = {
  'MeshConfig (security)': [
    'MeshConfig.extensionProviders[].name',
    'MeshConfig.extensionProviders[].envoyExtAuthzHttp',
    'MeshConfig.extensionProviders[].envoyExtAuthzGrpc',
    'MeshConfig.certificates',
    'MeshConfig.ca',
    'MeshConfig.caCertificates',
    'MeshConfig.meshMTLS',
    'MeshConfig.tlsDefaults',
  ],
  'MeshConfig (telemetry)': [
    'MeshConfig.enableTracing',
    'MeshConfig.accessLogFile',
    'MeshConfig.accessLogFormat',
    'MeshConfig.accessLogEncoding',
    'MeshConfig.enableEnvoyAccessLogService',
    'MeshConfig.disableEnvoyListenerLog',
    'MeshConfig.enablePrometheusMerge',
    'MeshConfig.inboundClusterStatName',
    'MeshConfig.outboundClusterStatName',
    'MeshConfig.defaultProviders',
    'MeshConfig.defaultConfig.tracing',
    'MeshConfig.defaultConfig.tracingServiceName',
    'MeshConfig.defaultConfig.zipkinAddress',
    'MeshConfig.defaultConfig.envoyAccessLogService',
    'MeshConfig.defaultConfig.envoyMetricsService',
    'MeshConfig.defaultConfig.envoyMetricsServiceAddress',
    'MeshConfig.defaultConfig.statsdUdpAddress',
    'MeshConfig.defaultConfig.extraStatTags',
    'MeshConfig.defaultConfig.proxyStatsMatcher',
    'MeshConfig.defaultConfig.statsCompression',
    'MeshConfig.defaultConfig.fileFlushInterval',
    'MeshConfig.defaultConfig.fileFlushMinSizeKb',
    'MeshConfig.extensionProviders[].zipkin',
    'MeshConfig.extensionProviders[].lightstep',
    'MeshConfig.extensionProviders[].datadog',
    'MeshConfig.extensionProviders[].stackdriver',
    'MeshConfig.extensionProviders[].opencensus',
    'MeshConfig.extensionProviders[].skywalking',
    'MeshConfig.extensionProviders[].opentelemetry',
    'MeshConfig.extensionProviders[].prometheus',
    'MeshConfig.extensionProviders[].envoyFileAccessLog',
    'MeshConfig.extensionProviders[].envoyHttpAls',
    'MeshConfig.extensionProviders[].envoyTcpAls',
    'MeshConfig.extensionProviders[].envoyOtelAls',
  ],
} as const satisfies Readonly<Partial<Record<FieldKind, readonly string[]>>>;
type MeshPart = keyof typeof meshParts;
const isMeshPart = (kind: FieldKind): kind is MeshPart => Object.hasOwn(meshParts, kind);

const isAt = (place: string, name: string) =>
  name === place || ['.', '[]', '='].some((next) => name.startsWith(`${place}${next}`));

/** The part of MeshConfig that a field belongs to, where it is one of those above. */
const meshPartOf = (name: string): MeshPart | undefined =>
  (Object.keys(meshParts) as MeshPart[]).find((part) => meshParts[part].some((place) => isAt(place, name)));

/** Under which name the fields of a kind stand, and their schema. */
const rootOf = (kind: FieldKind): { readonly name: string; readonly schema: AnySchema } =>
  kind === 'MeshConfig' || isMeshPart(kind)
    ? { name: 'MeshConfig', schema: meshConfig }
    : kind === 'MeshNetworks'
      ? { name: kind, schema: meshNetworks }
      : { name: `${kind}.spec`, schema: kindsByName[kind].spec };

/** How fields of a kind are called after its name; the table of the kind leaves that out. */
export const prefixOf = (kind: FieldKind): string => (isMeshPart(kind) ? 'MeshConfig.' : `${kind}.`);

/** The name a field has in the table: settings of a proxy are those of the mesh's `defaultConfig`. */
export const canonicalName = (name: string): string =>
  /^ProxyConfig\.(?!spec\.)/.test(name) ? name.replace('ProxyConfig.', 'MeshConfig.defaultConfig.') : name;

/** The kind of a field, by its name. */
export const kindOfField = (name: string): FieldKind | undefined =>
  meshPartOf(name) ?? fieldKinds.find((kind) => !isMeshPart(kind) && name.startsWith(`${rootOf(kind).name}.`));

/** Whether a field stands in the table of a kind: of MeshConfig, telemetry's own and security's are not about where traffic goes. */
function isListed(kind: FieldKind, name: string): boolean {
  if (kind === 'MeshConfig') return name !== 'MeshConfig.extensionProviders[]' && meshPartOf(name) === undefined;
  // Their way from the root is kept too.
  return !isMeshPart(kind) || meshParts[kind].some((place) => isAt(place, name) || isAt(name, place));
}

/** A row of the table: a field that has no fields of its own, or one whose fields are listed already at another place of its kind. */
export interface Field {
  /** `Kind.spec.path`, `[]` after lists and maps. */
  readonly name: string;
  readonly description: string;
  /** The field under which the same fields are listed. */
  readonly sameAs?: string;
}

/** Fields whose values mean things of their own: each value is a row too, named `FIELD=VALUE`. */
const namedValues: Readonly<Record<string, readonly string[]>> = {
  'PeerAuthentication.spec.mtls.mode': ['UNSET', 'DISABLE', 'PERMISSIVE', 'STRICT'],
  'AuthorizationPolicy.spec.action': ['ALLOW', 'DENY', 'AUDIT', 'CUSTOM'],
  // https://istio.io/latest/docs/reference/config/security/conditions/
  'AuthorizationPolicy.spec.rules[].when[].key': [
    'request.headers',
    'source.ip',
    'remote.ip',
    'source.namespace',
    'source.principal',
    'source.serviceAccount',
    'source.trustDomain',
    'request.auth.principal',
    'request.auth.audiences',
    'request.auth.presenter',
    'request.auth.claims',
    'destination.ip',
    'destination.port',
    'connection.sni',
    'experimental.envoy.filters',
  ],
  'Telemetry.spec.tracing[].match.mode': ['CLIENT', 'SERVER', 'CLIENT_AND_SERVER'],
  'Telemetry.spec.accessLogging[].match.mode': ['CLIENT', 'SERVER', 'CLIENT_AND_SERVER'],
  'Telemetry.spec.metrics[].overrides[].match.mode': ['CLIENT', 'SERVER', 'CLIENT_AND_SERVER'],
  'Telemetry.spec.metrics[].overrides[].match.metric': [
    'ALL_METRICS',
    'REQUEST_COUNT',
    'REQUEST_DURATION',
    'REQUEST_SIZE',
    'RESPONSE_SIZE',
    'TCP_OPENED_CONNECTIONS',
    'TCP_CLOSED_CONNECTIONS',
    'TCP_SENT_BYTES',
    'TCP_RECEIVED_BYTES',
    'GRPC_REQUEST_MESSAGES',
    'GRPC_RESPONSE_MESSAGES',
  ],
  'Telemetry.spec.metrics[].overrides[].tagOverrides[].operation': ['UPSERT', 'REMOVE'],
  'MeshConfig.accessLogEncoding': ['TEXT', 'JSON'],
};

/** How a field's own value is reached: through lists and maps. */
function inner(schema: AnySchema): { readonly brackets: string; readonly shape: Shape } {
  const { shape } = schema;
  if (shape.kind === 'list') {
    const { brackets, shape: items } = inner(shape.items);
    return { brackets: `[]${brackets}`, shape: items };
  }
  if (shape.kind === 'map') {
    const { brackets, shape: values } = inner(shape.values);
    return { brackets: `[]${brackets}`, shape: values };
  }
  return { brackets: '', shape };
}

/** All fields of a kind, in the order of its schema. A message used in several places has its fields listed where it is nearest to the top. */
export function fieldsOf(kind: FieldKind): readonly Field[] {
  const home = new Map<object, string>();
  const children = (name: string, shape: Shape) =>
    shape.kind === 'object'
      ? Object.entries(shape.fields).flatMap(([field, of]) => {
          const reached = inner(of);
          const path = `${name}.${field}${reached.brackets}`;
          return isListed(kind, path) ? [{ name: path, shape: reached.shape, description: of.description }] : [];
        })
      : [];
  const { name: rootName, schema } = rootOf(kind);
  const root = { name: rootName, shape: inner(schema).shape, description: '' };
  // Breadth first, so that each message's home is known before the rows are made.
  for (let level = [root]; level.length > 0; ) {
    const next: typeof level = [];
    for (const { name, shape } of level) {
      if (shape.kind !== 'object' || home.has(shape.fields)) continue;
      home.set(shape.fields, name);
      next.push(...children(name, shape));
    }
    level = next;
  }
  const rows = (node: typeof root): readonly Field[] => {
    const { name, shape, description } = node;
    if (shape.kind !== 'object' || Object.keys(shape.fields).length === 0)
      return [
        { name, description },
        ...(namedValues[name] ?? []).map((value) => ({ name: `${name}=${value}`, description })),
      ];
    const at = home.get(shape.fields);
    if (at !== undefined && at !== name) return [{ name, description, sameAs: at }];
    return children(name, shape).flatMap(rows);
  };
  return rows(root);
}

/** Fields of a kind that a name stands for: itself, all below it, or the one that stands for a place with the same fields. */
export function fieldsNamed(name: string, fields: readonly Field[]): readonly Field[] {
  const plain = (path: string) => path.replace(/(\[\])+$/, '');
  const wanted = plain(name);
  const exact = fields.filter((field) => plain(field.name) === wanted);
  if (exact.length > 0) return exact;
  const below = fields.filter((field) => field.name.startsWith(`${wanted}.`) || field.name.startsWith(`${wanted}[]`));
  if (below.length > 0) return below;
  return fields.filter(({ name: place, sameAs }) => {
    if (sameAs === undefined || !name.startsWith(`${place}.`)) return false;
    // What follows the place has to exist where the fields are listed.
    return fieldsNamed(`${sameAs}${name.slice(place.length)}`, fields).length > 0;
  });
}
