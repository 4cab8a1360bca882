import type {
  MeshConfig,
  TelemetryAccessLogging,
  TelemetryMetrics,
  TelemetrySpec,
  TelemetryTracing,
} from '@istio-ts/api';
import type { Config, Origin, ProxyType } from './model.ts';
import { byAge } from './order.ts';
import { isEmptySelector, selectorMatches } from './selector.ts';
import { type MetricOverrides, metricOverrides } from './telemetry-metrics.ts';

export type ExtensionProvider = MeshConfig['extensionProviders'][number];

/**
 * The side of the traffic on which a proxy stands: gateways are clients, whatever they listen for; sidecars are servers on what arrives and clients
 * on what their application sends (Telemetry reference, WorkloadMode).
 */
export type TelemetryMode = 'CLIENT' | 'SERVER';

/** What all Telemetries, the mesh configuration's defaults and Istio's own come to for one proxy. */
export interface EffectiveTelemetry {
  readonly client: ModeTelemetry;
  readonly server: ModeTelemetry;
  /** The Telemetries that were used: of the root namespace, of the proxy's namespace, of the workload. */
  readonly origins: readonly Origin[];
}

export interface ModeTelemetry {
  /** Providers of metrics, in the order of their names; none: no metrics. */
  readonly metrics: readonly EffectiveMetrics[];
  readonly tracing: EffectiveTracing;
  readonly accessLogging: EffectiveAccessLogging;
}

export interface EffectiveMetrics {
  readonly provider: ExtensionProvider;
  readonly overrides: MetricOverrides;
  /** How often TCP metrics are reported while a connection is open, in proto JSON (`5s`); absent: Istio's default, 5s. */
  readonly reportingInterval?: string;
}

export type EffectiveTracing =
  /** Neither a Telemetry nor `defaultProviders.tracing` says anything: `enableTracing` and `defaultConfig.tracing` decide. */
  | { readonly kind: 'mesh' }
  /** No spans: reporting is disabled, or nothing that was named as a provider exists. */
  | { readonly kind: 'off' }
  | ({ readonly kind: 'provider'; readonly provider: ExtensionProvider } & TracingSettings);

export interface TracingSettings {
  /** In percent; absent: that of the proxy's own or the mesh's `defaultConfig.tracing.sampling`, else PILOT_TRACE_SAMPLING, else 1. */
  readonly randomSamplingPercentage?: number;
  /** The last Telemetry that names any replaces those of the others; absent: those of `defaultConfig.tracing.customTags`. */
  readonly customTags?: NonNullable<TelemetryTracing['customTags']>;
  readonly useRequestIdForTraceSampling: boolean;
  readonly enableIstioTags: boolean;
  readonly disableContextPropagation: boolean;
}

export type EffectiveAccessLogging =
  /** No Telemetry speaks of access logs and `defaultProviders.accessLogging` is empty: `accessLogFile` and `enableEnvoyAccessLogService` decide. */
  | { readonly kind: 'mesh' }
  /** Exactly these logs, ordered by name of the provider; an empty list is no log. */
  | { readonly kind: 'providers'; readonly logs: readonly EffectiveAccessLog[] };

export interface EffectiveAccessLog {
  readonly provider: ExtensionProvider;
  /** CEL expression; absent: every request. */
  readonly filter?: string;
}

/** Providers that every mesh has without naming them in `extensionProviders`. */
export const BUILT_IN_PROVIDERS: readonly ExtensionProvider[] = [
  { name: 'prometheus', prometheus: {} },
  { name: 'stackdriver', stackdriver: {} },
  { name: 'envoy', envoyFileAccessLog: { path: '/dev/stdout' } },
];

/** A provider by the name under which a Telemetry or `defaultProviders` speaks of it. */
export const extensionProvider = (
  mesh: Partial<Pick<MeshConfig, 'extensionProviders'>>,
  name: string,
): ExtensionProvider | undefined =>
  mesh.extensionProviders?.find((provider) => provider.name === name) ??
  BUILT_IN_PROVIDERS.find((provider) => provider.name === name);

const hasTarget = ({ targetRef, targetRefs }: TelemetrySpec): boolean =>
  targetRef !== undefined || (targetRefs ?? []).length > 0;
const isGeneral = ({ spec }: Config<TelemetrySpec>): boolean =>
  !hasTarget(spec) && isEmptySelector(spec.selector?.matchLabels);

/**
 * The Telemetries that count for a proxy, the most general first: of the root namespace, of its own namespace, of the workload by selector or
 * targetRef (one of each at most; of several that could be one, the oldest). `telemetries` are those of which the proxy is a target (policiesFor).
 * One with a selector in the root namespace is for the workloads of that namespace.
 */
export function inheritance(
  telemetries: readonly Config<TelemetrySpec>[],
  proxy: { readonly namespace: string; readonly labels: Readonly<Record<string, string>> },
  rootNamespace: string,
): readonly Config<TelemetrySpec>[] {
  const sorted = [...telemetries].sort(byAge);
  const general = (namespace: string) =>
    sorted.find((config) => config.origin.namespace === namespace && isGeneral(config));
  const root = general(rootNamespace);
  const own = proxy.namespace === rootNamespace ? undefined : general(proxy.namespace);
  const workload = sorted.find(
    (config) =>
      config.origin.namespace === proxy.namespace &&
      !isGeneral(config) &&
      (hasTarget(config.spec) || selectorMatches(config.spec.selector?.matchLabels, proxy.labels)),
  );
  return [root, own, workload].filter((config) => config !== undefined);
}

type MeshDefaults = Partial<Pick<MeshConfig, 'extensionProviders' | 'defaultProviders' | 'rootNamespace'>>;

export interface TelemetryInput {
  readonly telemetries: readonly Config<TelemetrySpec>[];
  readonly mesh: MeshDefaults;
  readonly proxy: {
    readonly type: ProxyType;
    readonly namespace: string;
    readonly labels: Readonly<Record<string, string>>;
  };
  readonly rootNamespace: string;
}

/** Merges what is said of telemetry for a proxy (Telemetry reference: precedence and inheritance). */
export function effectiveTelemetry({ telemetries, mesh, proxy, rootNamespace }: TelemetryInput): EffectiveTelemetry {
  const chain = inheritance(telemetries, proxy, rootNamespace);
  const of = (mode: TelemetryMode): ModeTelemetry => ({
    metrics: effectiveMetrics(
      chain.flatMap(({ spec }) => spec.metrics ?? []),
      mesh,
      mode,
    ),
    tracing: effectiveTracing(
      chain.flatMap(({ spec }) => spec.tracing ?? []),
      mesh,
      mode,
    ),
    accessLogging: effectiveAccessLogging(
      chain.map(({ spec }) => spec.accessLogging ?? []).filter((logs) => logs.length > 0),
      mesh,
      mode,
    ),
  });
  return { client: of('CLIENT'), server: of('SERVER'), origins: chain.map(({ origin }) => origin) };
}

/** What an item is for, where it says nothing of it: both sides. */
export const isFor = (match: { readonly mode?: string } | undefined, mode: TelemetryMode): boolean =>
  match?.mode === undefined || match.mode === 'CLIENT_AND_SERVER' || match.mode === mode;

const names = (providers: readonly { readonly name: string }[] | undefined): readonly string[] =>
  (providers ?? []).map(({ name }) => name);

/** The names that exist, each once, in order. */
const known = (mesh: MeshDefaults, wanted: Iterable<string>): readonly ExtensionProvider[] =>
  [...new Set(wanted)].sort().flatMap((name) => extensionProvider(mesh, name) ?? []);

/** Items of metrics without providers speak of those of the item before; the last item that names some decides which report at all. */
function effectiveMetrics(
  items: readonly TelemetryMetrics[],
  mesh: MeshDefaults,
  mode: TelemetryMode,
): readonly EffectiveMetrics[] {
  const defaults = mesh.defaultProviders?.metrics ?? [];
  let inherited: readonly string[] = defaults;
  const addressed = items.map((item) => {
    if (names(item.providers).length > 0) inherited = names(item.providers);
    return { item, providers: inherited };
  });
  return known(mesh, inherited).flatMap((provider) => {
    const own = addressed.filter(({ providers }) => providers.includes(provider.name)).map(({ item }) => item);
    const overrides = metricOverrides(
      own.flatMap((item) => item.overrides ?? []).filter(({ match }) => isFor(match, mode)),
    );
    const reportingInterval = own.findLast((item) => item.reportingInterval !== undefined)?.reportingInterval;
    return [{ provider, overrides, ...(reportingInterval !== undefined && { reportingInterval }) }];
  });
}

/** Each field by itself: the last item that sets it counts. Only the first provider of an item is used. */
function effectiveTracing(
  items: readonly TelemetryTracing[],
  mesh: MeshDefaults,
  mode: TelemetryMode,
): EffectiveTracing {
  const [byDefault] = mesh.defaultProviders?.tracing ?? [];
  if (items.length === 0 && byDefault === undefined) return { kind: 'mesh' };
  const own = items.filter(({ match }) => isFor(match, mode));
  const last = <K extends keyof TelemetryTracing>(field: K): TelemetryTracing[K] | undefined =>
    own.findLast((item) => item[field] !== undefined)?.[field];
  const [named] = names(own.findLast(({ providers }) => (providers ?? []).length > 0)?.providers);
  const name = named ?? byDefault;
  const provider = name === undefined ? undefined : extensionProvider(mesh, name);
  if (provider === undefined || last('disableSpanReporting') === true) return { kind: 'off' };
  const sampling = last('randomSamplingPercentage');
  const customTags = last('customTags');
  return {
    kind: 'provider',
    provider,
    ...(sampling !== undefined && { randomSamplingPercentage: sampling }),
    ...(customTags !== undefined && { customTags }),
    useRequestIdForTraceSampling: last('useRequestIdForTraceSampling') ?? true,
    enableIstioTags: last('enableIstioTags') ?? true,
    disableContextPropagation: last('disableContextPropagation') ?? false,
  };
}

/** The providers of the most special Telemetry that names any replace those of the others; items without providers speak of the ones before them. */
function effectiveAccessLogging(
  chain: readonly (readonly TelemetryAccessLogging[])[],
  mesh: MeshDefaults,
  mode: TelemetryMode,
): EffectiveAccessLogging {
  const defaults = mesh.defaultProviders?.accessLogging ?? [];
  if (chain.length === 0 && defaults.length === 0) return { kind: 'mesh' };
  if (chain.length === 0) return { kind: 'providers', logs: known(mesh, defaults).map((provider) => ({ provider })) };
  let inScope: readonly string[] = defaults;
  for (const items of chain) {
    const named = items.filter(({ match }) => isFor(match, mode)).flatMap(({ providers }) => names(providers));
    if (named.length > 0) inScope = named;
  }
  const logs = new Map<string, EffectiveAccessLog>();
  let inherited: readonly string[] = defaults;
  for (const item of chain.flat()) {
    if (!isFor(item.match, mode)) continue;
    if (names(item.providers).length > 0) inherited = names(item.providers);
    for (const name of inherited) {
      if (!inScope.includes(name)) continue;
      if (item.disabled === true) {
        logs.delete(name);
        continue;
      }
      const provider = extensionProvider(mesh, name);
      const filter = item.filter?.expression || undefined;
      if (provider !== undefined) logs.set(name, { provider, ...(filter !== undefined && { filter }) });
    }
  }
  return { kind: 'providers', logs: [...logs.values()].sort((a, b) => (a.provider.name < b.provider.name ? -1 : 1)) };
}
