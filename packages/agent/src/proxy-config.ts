import { mergeProxyConfig } from '@istio-ts/api/mesh/merge-proxy-config';
import type { Json } from './json.ts';
import { asObject, field, textField } from './json.ts';

/**
 * The parts of Istio's ProxyConfig (`meshConfig.defaultConfig`, annotation `proxy.istio.io/config`) that the agent acts on,
 * with Istio's defaults. `raw` is the whole, for the node's metadata.
 */
export interface ProxyConfig {
  readonly configPath: string;
  readonly binaryPath: string;
  readonly discoveryAddress: string;
  readonly serviceCluster: string | undefined;
  readonly tracingServiceName: string;
  /** Seconds as in protobuf's JSON form, `45s`. */
  readonly drainDuration: string;
  readonly terminationDrainDuration: string;
  readonly proxyAdminPort: number;
  readonly statusPort: number;
  /** 0 for one thread per CPU; undefined when not set. */
  readonly concurrency: number | undefined;
  readonly interceptionMode: string;
  readonly meshId: string;
  readonly statsMatcher: StatsMatcher;
  readonly extraStatTags: readonly string[];
  readonly proxyMetadata: Readonly<Record<string, string>>;
  readonly runtimeValues: Readonly<Record<string, string>>;
  readonly fileFlushInterval: string | undefined;
  readonly fileFlushMinSizeKb: number | undefined;
  readonly holdApplicationUntilProxyStarts: boolean;
  readonly raw: Readonly<Record<string, Json>>;
}

export interface StatsMatcher {
  readonly inclusionPrefixes: readonly string[];
  readonly inclusionSuffixes: readonly string[];
  readonly inclusionRegexps: readonly string[];
}

/** Values of ProxyConfig when nobody set them (Istio's reference, MeshConfig). They are part of the metadata istiod sees. */
const DEFAULTS: Readonly<Record<string, Json>> = {
  configPath: './etc/istio/proxy',
  binaryPath: '/usr/local/bin/envoy',
  serviceCluster: 'istio-proxy',
  drainDuration: '45s',
  terminationDrainDuration: '5s',
  discoveryAddress: 'istiod.istio-system.svc:15012',
  proxyAdminPort: 15000,
  controlPlaneAuthPolicy: 'MUTUAL_TLS',
  statNameLength: 189,
  statusPort: 15020,
};

/** Lays the layers over each other, see `mergeProxyConfig`, and decodes the result. */
export function readProxyConfig(layers: readonly Json[]): ProxyConfig {
  const raw = layers.reduce<Readonly<Record<string, Json>>>(
    (merged, layer) => mergeProxyConfig(merged, asObject(layer)) as Readonly<Record<string, Json>>,
    DEFAULTS,
  );
  const matcher = asObject(field(raw, 'proxyStatsMatcher'));
  const text = (name: string): string => textField(raw, name);
  const number = (name: string): number | undefined => {
    const value = field(raw, name);
    const parsed =
      typeof value === 'number' ? value : typeof value === 'string' && value !== '' ? Number(value) : undefined;
    return parsed !== undefined && Number.isFinite(parsed) ? parsed : undefined;
  };
  // `serviceCluster` and `tracingServiceName` are alternatives; the default of the first must not hide the second.
  const givenCluster = layers
    .map((layer) => textField(asObject(layer), 'serviceCluster'))
    .findLast((value) => value !== '');
  return {
    configPath: text('configPath'),
    binaryPath: text('binaryPath'),
    discoveryAddress: text('discoveryAddress'),
    serviceCluster: givenCluster === 'istio-proxy' ? undefined : givenCluster,
    tracingServiceName: text('tracingServiceName') || 'APP_LABEL_AND_NAMESPACE',
    drainDuration: text('drainDuration'),
    terminationDrainDuration: text('terminationDrainDuration'),
    proxyAdminPort: number('proxyAdminPort') ?? 15000,
    statusPort: number('statusPort') ?? 15020,
    concurrency: number('concurrency'),
    interceptionMode: text('interceptionMode') || 'REDIRECT',
    meshId: text('meshId'),
    statsMatcher: {
      inclusionPrefixes: texts(matcher.inclusionPrefixes),
      inclusionSuffixes: texts(matcher.inclusionSuffixes),
      inclusionRegexps: texts(matcher.inclusionRegexps),
    },
    extraStatTags: texts(field(raw, 'extraStatTags')),
    proxyMetadata: textMap(field(raw, 'proxyMetadata')),
    runtimeValues: textMap(field(raw, 'runtimeValues')),
    fileFlushInterval: text('fileFlushInterval') || undefined,
    fileFlushMinSizeKb: number('fileFlushMinSizeKb'),
    holdApplicationUntilProxyStarts: field(raw, 'holdApplicationUntilProxyStarts') === true,
    raw,
  };
}

function texts(value: Json | undefined): readonly string[] {
  return Array.isArray(value) ? value.filter((entry): entry is string => typeof entry === 'string') : [];
}

function textMap(value: Json | undefined): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(asObject(value)).map(([key, entry]) => [
      key,
      typeof entry === 'string' ? entry : JSON.stringify(entry),
    ]),
  );
}
