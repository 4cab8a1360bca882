import type { CustomTag } from '@istio-ts/envoy';
import type { ScopedProxy } from '@istio-ts/mesh/model';

/** A tag as a Telemetry, or with fewer sources the proxies' settings, write it. */
interface CustomTagSource {
  readonly literal?: { readonly value?: string } | undefined;
  readonly environment?: { readonly name?: string; readonly defaultValue?: string } | undefined;
  readonly header?: { readonly name?: string; readonly defaultValue?: string } | undefined;
  readonly formatter?: { readonly value?: string } | undefined;
}
export type CustomTags = Readonly<Record<string, CustomTagSource>>;

/** Tags that Telemetries or the proxies' settings add to spans, by name. One from a variable without a value or default is left out by Envoy. */
export const customTags = (tags: CustomTags): readonly CustomTag[] =>
  Object.entries(tags)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([tag, { literal, environment, header, formatter }]): readonly CustomTag[] => {
      if (literal !== undefined) return [{ tag, literal: { value: literal.value ?? '' } }];
      if (environment !== undefined)
        return [{ tag, environment: { name: environment.name ?? '', defaultValue: environment.defaultValue ?? '' } }];
      if (header !== undefined)
        return [{ tag, requestHeader: { name: header.name ?? '', defaultValue: header.defaultValue ?? '' } }];
      return formatter === undefined ? [] : [{ tag, value: formatter.value ?? '' }];
    });

/** What Istio tells of the workload in every span. */
export const istioTags = (proxy: ScopedProxy, meshId: string): readonly CustomTag[] =>
  (
    [
      ['istio.canonical_revision', proxy.canonicalRevision || 'latest'],
      ['istio.canonical_service', proxy.canonicalName || 'unknown'],
      ['istio.cluster_id', proxy.clusterId || 'unknown'],
      ['istio.mesh_id', meshId || 'unknown'],
      ['istio.namespace', proxy.namespace || 'default'],
    ] as const
  ).map(([tag, value]) => ({ tag, literal: { value } }));
