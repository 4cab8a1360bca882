import type { HttpConnectionManager_Tracing } from '@istio-ts/envoy';
import type { ProxyScope, ScopedProxy } from '@istio-ts/mesh/model';
import type { EffectiveTracing } from '@istio-ts/mesh/telemetry';
import { memoByInputs } from '../memo.ts';
import type { ProxyRole } from '../proxy-settings/http-connection.ts';
import { proxySettings } from '../proxy-settings/settings.ts';
import { telemetryOf } from './effective.ts';
import { ownSampling, ownTracer, tracesByAddress } from './own-tracing.ts';
import { type ProviderTarget, providerTarget } from './provider-service.ts';
import { tracer, tracingServices } from './tracer.ts';
import { tracedServiceName } from './tracing-service.ts';
import { type CustomTags, customTags, istioTags } from './tracing-tags.ts';

/** Share of requests that get a trace when nothing else is said, in percent. */
const DEFAULT_SAMPLING_PERCENT = 1;

/** Tracing of one side of the traffic. */
export interface SideTracing {
  readonly settings: HttpConnectionManager_Tracing;
  /** Istio's own tags are wanted, among them those of dry runs. */
  readonly istioTags: boolean;
}

/** Tracing of a proxy, by the side of the traffic on which it stands; undefined: no spans. */
export interface ProxyTracing {
  readonly client: SideTracing | undefined;
  readonly server: SideTracing | undefined;
}

interface SideInput {
  readonly mesh: ProxyScope['mesh'];
  readonly proxy: ScopedProxy;
  readonly tracing: EffectiveTracing;
  readonly target: ProviderTarget | undefined;
  readonly sampler: ProviderTarget | undefined;
}

function meshId({ mesh, proxy }: Pick<SideInput, 'mesh' | 'proxy'>): string {
  const { MESH_ID: own } = proxy.metadata;
  return typeof own === 'string' && own !== '' ? own : (mesh.defaultConfig?.meshId ?? '');
}

const percent = (value: number) => ({ value });

function common(input: SideInput) {
  const { proxy } = input;
  const settings = proxySettings(input);
  const own = settings.tracing ?? {};
  return {
    settings,
    own,
    sampling: ownSampling(own) ?? proxy.switches?.traceSampling ?? DEFAULT_SAMPLING_PERCENT,
    maxLength: own.maxPathTagLength || undefined,
    tags: (wanted: CustomTags | undefined, withIstios: boolean) => {
      const all = [
        ...customTags(wanted ?? own.customTags ?? {}),
        ...(withIstios ? istioTags(proxy, meshId(input)) : []),
      ];
      return all.length > 0 ? { customTags: all } : {};
    },
    // A gateway is where traces begin: what it sends is a span of its own beside what it received.
    isGateway: proxy.type === 'router',
  };
}

/** Tracing by `enableTracing` and the address of a collector (`defaultConfig.tracing`). */
function byAddress(input: SideInput): SideTracing | undefined {
  const provider = ownTracer(input);
  if (provider === undefined) return undefined;
  const { own, sampling, maxLength, tags } = common(input);
  const withIstios = own.enableIstioTags !== false;
  return {
    settings: {
      clientSampling: percent(100),
      randomSampling: percent(sampling),
      overallSampling: percent(100),
      ...(maxLength !== undefined && { maxPathTagLength: maxLength }),
      provider,
      ...tags(undefined, withIstios),
    },
    istioTags: withIstios,
  };
}

function side(input: SideInput): SideTracing | undefined {
  const { tracing, target, sampler, proxy } = input;
  if (tracing.kind === 'off') return undefined;
  if (tracing.kind === 'mesh') return byAddress(input);
  if (target === undefined) return undefined;
  const { settings, sampling, maxLength, tags, isGateway } = common(input);
  const chosen = tracer({
    provider: tracing.provider,
    target,
    sampler,
    proxy,
    serviceName: tracedServiceName(proxy, settings),
  });
  if (chosen === undefined) return undefined;
  const length = chosen.maxTagLength ?? maxLength;
  return {
    settings: {
      clientSampling: percent(100),
      // A tracer that samples by itself is asked for every request.
      randomSampling: percent(tracing.randomSamplingPercentage ?? (chosen.samples ? 100 : sampling)),
      overallSampling: percent(100),
      ...(length !== undefined && { maxPathTagLength: length }),
      provider: chosen.provider,
      ...((isGateway || chosen.spawnsUpstream) && { spawnUpstreamSpan: true }),
      ...(tracing.disableContextPropagation && { noContextPropagation: true }),
      ...tags(tracing.customTags, tracing.enableIstioTags),
    },
    istioTags: tracing.enableIstioTags,
  };
}

const rememberedSide = memoByInputs(
  ({ tracing, mesh, proxy, target, sampler }: SideInput) => [
    tracing,
    mesh,
    proxy,
    target?.cluster,
    target?.hostname,
    sampler?.cluster,
    sampler?.hostname,
  ],
  side,
);

type Scope = Pick<ProxyScope, 'mesh' | 'proxy' | 'serviceByHost' | 'telemetries'>;

function sideOf(scope: Scope, effective: EffectiveTracing): SideTracing | undefined {
  const services = effective.kind === 'provider' ? tracingServices(effective.provider) : undefined;
  return rememberedSide({
    mesh: scope.mesh,
    proxy: scope.proxy,
    tracing: effective,
    target: services && providerTarget(scope, services.collector),
    sampler: services?.sampler && providerTarget(scope, services.sampler),
  });
}

const both = memoByInputs(
  ({ client, server, proxy }: ProxyTracing & { readonly proxy: object }) => [proxy, client, server],
  ({ client, server }): ProxyTracing => ({ client, server }),
);

/**
 * Tracing settings of HTTP connections, as Telemetries and the mesh configuration say; no spans towards a provider whose service the proxy does not
 * see, as Envoy refuses whole listeners that name a cluster which is not there. The identical object as long as nothing that it is made of changed.
 */
export function tracing(scope: Scope): ProxyTracing {
  const { client, server } = telemetryOf(scope);
  return both({
    client: sideOf(scope, client.tracing),
    server: sideOf(scope, server.tracing),
    proxy: scope.proxy,
  });
}

/** Tracing of what a listener serves: only what arrives at a sidecar is the server's side. */
export const tracingOfRole = ({ client, server }: ProxyTracing, role: ProxyRole): SideTracing | undefined =>
  role === 'inbound' ? server : client;

/** Whether any Telemetry could have spans made: routes must name their operations then. */
export const mayTrace = (scope: Pick<ProxyScope, 'mesh' | 'proxy'>): boolean =>
  (scope.mesh.extensionProviders ?? []).some((provider) => tracingServices(provider) !== undefined) ||
  tracesByAddress(scope);
