import { istioTypes } from '@istio-ts/api/resource-types';
import type { ResourceType } from '@istio-ts/kube';
import type { Mesh, MeshSources } from '@istio-ts/mesh';
import { selectorMatches } from '@istio-ts/mesh/selector';
import type { MetricsRegistry } from '@istio-ts/metrics';
import { compileFilter } from '@istio-ts/xds/envoy-filter/patch';

/** What happened to an object of the API server. */
export type ObjectEvent = 'add' | 'update' | 'delete';

const istioResources = new Set(Object.values(istioTypes).map(({ group, resource }) => `${group}/${resource}`));

/** What an object changes for proxies, as Istio's dashboards call it; undefined: nothing, or only together with others. */
function triggerOf({ group, resource, kind }: ResourceType): 'config' | 'service' | 'endpoint' | 'secret' | undefined {
  if (istioResources.has(`${group}/${resource}`)) return 'config';
  if (kind === 'Service') return 'service';
  if (kind === 'EndpointSlice') return 'endpoint';
  return kind === 'Secret' ? 'secret' : undefined;
}

const inboundTypes = { config: 'config', service: 'svc', endpoint: 'eds', secret: 'config' } as const;

/**
 * Counts what the API server tells of: of Istio's kinds, and of those that services and endpoints are made of. `pilot_push_triggers` counts the changes for
 * which configuration is looked at anew; only what is different afterwards is sent.
 */
export function createEventMetrics(metrics: MetricsRegistry): (type: ResourceType, event: ObjectEvent) => void {
  const inbound = metrics.counter('pilot_inbound_updates', 'Changes of what proxies are configured from, by type.');
  const triggers = metrics.counter('pilot_push_triggers', 'Changes for which configuration is made anew, by reason.');
  const config = metrics.counter('pilot_k8s_cfg_events', 'Changes of configuration in Kubernetes.');
  const registry = metrics.counter('pilot_k8s_reg_events', 'Changes of services, endpoints, pods and nodes.');
  return (type, event) => {
    const trigger = triggerOf(type);
    (trigger === 'config' ? config : registry).add({ type: type.kind, event });
    if (trigger === undefined) return;
    inbound.add({ type: trigger === 'service' && event === 'delete' ? 'svcdelete' : inboundTypes[trigger] });
    triggers.add({ type: trigger });
  };
}

/**
 * Times changes of the cluster on their way into the model: how long the first of some changes waits for those that come with it, and how long the
 * model takes to take them in. The result stands around the work of such a batch; `now` is in milliseconds.
 */
export function createBatchMetrics(metrics: MetricsRegistry, now: () => number): (work: () => void) => () => void {
  const waiting = metrics.histogram(
    'pilot_debounce_time',
    'Time in seconds that a change waits for others before the model takes them in together.',
    [0.01, 0.1, 0.5, 1, 3, 5, 10, 20, 30],
  );
  const taking = metrics.histogram(
    'pilot_pushcontext_init_seconds',
    'Time in seconds that the model takes to take in changes that came together.',
    [0.01, 0.1, 0.5, 1, 3, 5],
  );
  return (work) => {
    const asked = now();
    return () => {
      const begun = now();
      waiting.observe((begun - asked) / 1000);
      work();
      taking.observe((now() - begun) / 1000);
    };
  };
}

/** Counts interruptions of watches of a cluster, which are tried again. */
export function createSyncMetrics(metrics: MetricsRegistry, cluster: string): () => void {
  const errors = metrics.counter('controller_sync_errors_total', 'Interruptions of watches of a cluster.');
  const labels = { cluster };
  errors.add(labels, 0);
  return () => errors.add(labels);
}

/** What becomes of the WorkloadEntries of workloads that register themselves. */
export interface RegistrationMetrics {
  readonly registered: () => void;
  readonly updated: () => void;
  readonly failed: () => void;
  readonly unregistered: () => void;
  readonly removed: () => void;
}

export function createRegistrationMetrics(metrics: MetricsRegistry): RegistrationMetrics {
  const counter = (name: string, help: string): (() => void) => {
    const { add } = metrics.counter(`auto_registration_${name}_total`, help);
    add({}, 0);
    return () => add();
  };
  return {
    registered: counter('success', 'Workloads that registered themselves.'),
    updated: counter('updates', 'Workloads that came back to the entry that they had.'),
    failed: counter('errors', 'Attempts to register a workload, or to mark it as gone, that failed.'),
    unregistered: counter('unregister', 'Registered workloads that disconnected.'),
    removed: counter('deletes', 'Entries that were removed because their workload stayed away.'),
  };
}

/** Clusters whose objects are watched: the one that istiod runs in. */
export function registerClusterMetrics(metrics: MetricsRegistry): void {
  metrics.gauge('istiod_managed_clusters', 'Clusters that this istiod watches.').set(1, { cluster_type: 'local' });
}

/** What becomes of the CA's root in webhooks, by the names of their configurations. */
export function createWebhookMetrics(metrics: MetricsRegistry): {
  readonly attempt: (name: string) => void;
  readonly retry: (name: string) => void;
  readonly failure: (name: string, reason: string) => void;
  readonly validationUpdated: (failure?: string) => void;
} {
  const attempts = metrics.counter('webhook_patch_attempts_total', 'Webhook patching attempts');
  const retries = metrics.counter('webhook_patch_retries_total', 'Webhook patching retries');
  const failures = metrics.counter('webhook_patch_failures_total', 'Webhook patching total failures');
  const updates = metrics.counter('galley_validation_config_updates', 'k8s webhook configuration updates');
  const errors = metrics.counter('galley_validation_config_update_error', 'k8s webhook configuration update error');
  return {
    attempt: (name) => attempts.add({ name }),
    retry: (name) => retries.add({ name }),
    failure: (name, reason) => failures.add({ name, reason }),
    validationUpdated: (failure) => (failure === undefined ? updates.add() : errors.add({ reason: failure })),
  };
}

type Slices = Pick<MeshSources, 'endpointSlices' | 'pods'>;

/** Pods that endpoints name and that are not known, as `namespace/name`. */
export function missingPods({ endpointSlices, pods }: Slices): ReadonlySet<string> {
  const missing = new Set<string>();
  for (const { namespace, endpoints } of endpointSlices.values())
    for (const { pod } of endpoints)
      if (pod !== '' && !pods.has(`${namespace}/${pod}`)) missing.add(`${namespace}/${pod}`);
  return missing;
}

/** Endpoints that name a pod that is not known. */
function endpointsWithoutPod({ endpointSlices, pods }: Slices): number {
  let count = 0;
  for (const { namespace, endpoints } of endpointSlices.values())
    for (const { pod } of endpoints) if (pod !== '' && !pods.has(`${namespace}/${pod}`)) count++;
  return count;
}

/** Metrics of endpoints whose pods are not there yet, or no more. */
export function registerEndpointMetrics(metrics: MetricsRegistry, sources: Slices): { readonly close: () => void } {
  metrics.gauge(
    'pilot_k8s_endpoints_pending_pod',
    'Pods that endpoints name and that are not known yet.',
    () => missingPods(sources).size,
  );
  metrics.gauge('endpoint_no_pod', 'Endpoints without their pod.', () => endpointsWithoutPod(sources));
  const without = metrics.counter('pilot_k8s_endpoints_with_no_pods', 'Endpoints that came without their pod.');
  without.add({}, 0);
  const { pods, endpointSlices } = sources;
  const podsIn = (
    slice: { readonly endpoints: readonly { readonly pod: string }[] } | undefined,
  ): ReadonlySet<string> => new Set(slice?.endpoints.map(({ pod }) => pod));
  return {
    close: endpointSlices.subscribe((changes) => {
      for (const { before, after } of changes) {
        const known = podsIn(before);
        for (const pod of podsIn(after))
          if (pod !== '' && !known.has(pod) && !pods.has(`${after?.namespace}/${pod}`)) without.add();
      }
    }),
  };
}

/** Counts sidecars that connect and that no service selects: nobody reaches them by a name. */
export function createTargetMetrics(
  metrics: MetricsRegistry,
  mesh: Pick<Mesh, 'workloads' | 'selectingServices'>,
): (proxy: { readonly type: string; readonly namespace: string; readonly podName: string }) => void {
  const without = metrics.counter(
    'pilot_k8s_proxies_with_no_service_targets',
    'Sidecars that connected and are a target of no service.',
  );
  without.add({}, 0);
  return ({ type, namespace, podName }) => {
    if (type !== 'sidecar') return;
    const labels = mesh.workloads.get(`Pod/${namespace}/${podName}`)?.labels;
    const services = mesh.selectingServices.get(namespace) ?? [];
    if (labels && !services.some(({ selector }) => selector && selectorMatches(selector, labels))) without.add();
  };
}

/** Patches of EnvoyFilters by what they change and whether they are applied to the proxies that they are for (PILOT_ENVOY_FILTER_STATS). */
export function registerFilterMetrics(
  metrics: MetricsRegistry,
  sources: Pick<MeshSources, 'configs'>,
): { readonly close: () => void } {
  const gauge = metrics.gauge(
    'pilot_envoy_filter_status',
    'Patches of EnvoyFilters, applied to the proxies that they are for or in error.',
  );
  const filters = sources.configs('EnvoyFilter');
  const shown = new Map<string, readonly Readonly<Record<string, string>>[]>();
  const show = (key: string): void => {
    for (const labels of shown.get(key) ?? []) gauge.remove(labels);
    shown.delete(key);
    const config = filters.get(key);
    if (!config) return;
    const { patches, problems } = compileFilter(config);
    const series = [
      ...patches.map(({ applyTo }) => ({ name: key, patch: applyTo.toLowerCase(), result: 'applied' })),
      ...problems.map(({ path }) => {
        const index = Number(/configPatches\[(\d+)\]/.exec(path)?.[1]);
        const patch = config.spec.configPatches?.[index]?.applyTo?.toLowerCase() ?? '';
        return { name: key, patch, result: 'error' };
      }),
    ];
    for (const labels of series) gauge.add(1, labels);
    shown.set(key, series);
  };
  for (const key of filters.keys()) show(key);
  return {
    close: filters.subscribe((changes) => {
      for (const { key } of changes) show(key);
    }),
  };
}
