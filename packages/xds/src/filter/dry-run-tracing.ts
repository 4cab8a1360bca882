import type { CustomTag, HttpConnectionManager_Tracing, HttpFilter } from '@istio-ts/envoy';

/** Tags of spans (task "Dry run") from what the checks of dry runs leave in the metadata of Envoy's RBAC filter. */
const tags = (action: 'allow' | 'deny'): readonly CustomTag[] =>
  (
    [
      ['name', 'effective_policy_id'],
      ['result', 'engine_result'],
    ] as const
  ).map(([tag, key]) => ({
    tag: `istio.authorization.dry_run.${action}_policy.${tag}`,
    metadata: {
      kind: { request: {} },
      metadataKey: { key: 'envoy.filters.http.rbac', path: [{ key: `istio_dry_run_${action}_shadow_${key}` }] },
    },
  }));
const TAGS = { istio_dry_run_allow_: tags('allow'), istio_dry_run_deny_: tags('deny') } as const;

/** The tracing of connections whose filters try AuthorizationPolicies: spans tell what these would have done. */
export function withDryRuns(
  tracing: HttpConnectionManager_Tracing,
  filters: readonly HttpFilter[],
): HttpConnectionManager_Tracing {
  const prefixes = filters.map(({ typedConfig }) => typedConfig?.shadowRulesStatPrefix);
  const tried = Object.entries(TAGS).flatMap(([prefix, list]) => (prefixes.includes(prefix) ? list : []));
  return tried.length === 0 ? tracing : { ...tracing, customTags: [...(tracing.customTags ?? []), ...tried] };
}
