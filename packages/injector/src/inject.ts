import type { MeshConfig, ProxyConfig } from '@istio-ts/api';
import { authoritySettings, authorityValues } from './certificate-authority.ts';
import { checkAnnotations } from './annotations.ts';
import { type InjectionConfig, selectTemplates } from './config.ts';
import { decideInjection } from './decide.ts';
import { InjectionError } from './errors.ts';
import { type Json, type JsonObject, listAt, objectAt, textMap } from './json.ts';
import { jsonPatch, type PatchOperation } from './json-patch.ts';
import { type Probers, rewriteProbes } from './probes.ts';
import { objectSettings, type ProxyConfigObject } from './proxy-config-objects.ts';
import { mergesMetrics, ownSettings, proxyImage, proxySettings } from './proxy-settings.ts';
import { OVERRIDES, STATUS, undoInjection } from './reinvocation.ts';
import { renderTemplate, type Workload } from './render.ts';
import { mergeContainer, mergePod } from './strategic-merge.ts';
import { type TrustBundle, trustBundleValues } from './trust-bundle.ts';
import { workloadOf } from './workload.ts';

export interface InjectionInput {
  /** A pod, or a pod template: `metadata` and `spec`. */
  readonly pod: JsonObject;
  /** Namespace the pod will be in. */
  readonly namespace: string;
  readonly config: InjectionConfig;
  readonly meshConfig: MeshConfig;
  /** Objects of the kind ProxyConfig of the root namespace and of the pod's. */
  readonly proxyConfigs?: readonly ProxyConfigObject[];
  /** Revision of the control plane that injects; `default` or '' for the default one. */
  readonly revision: string;
  /** The workload, where it is known; else it is found by the pod's owner. */
  readonly workload?: Workload;
  /** From the webhook's path `/inject/cluster/C/net/N`: a cluster and network other than the control plane's. */
  readonly cluster?: string;
  readonly network?: string;
  /** Proxies as init containers that keep running (Kubernetes 1.29 and later). */
  readonly nativeSidecars?: boolean;
  /** User and group of the proxy; 1337 unless the platform gives ranges. */
  readonly proxyUid?: number;
  readonly proxyGid?: number;
  /** Whether pods can mount the mesh's trust anchors from a ClusterTrustBundle, if the installation asks for it; undefined: they can. */
  readonly trustBundle?: TrustBundle;
}

export type InjectionResult =
  | { readonly injected: false; readonly reason: string }
  | {
      readonly injected: true;
      readonly pod: JsonObject /** RFC 6902, relative to the pod that came in. */;
      readonly patch: readonly PatchOperation[];
    };

const PROXY = 'istio-proxy';

/**
 * Puts the proxy into a pod. Pure: the same input gives the same pod, and injecting an injected pod again gives the same pod.
 * Throws `InjectionError` for templates, annotations or configuration that cannot be used.
 */
export function injectPod(input: InjectionInput): InjectionResult {
  const decision = decideInjection(input.pod, input.namespace, input.config);
  if (!decision.inject) return { injected: false, reason: decision.reason };
  const former = undoInjection(input.pod);
  const original = former.pod;
  const workload = input.workload ?? workloadOf(original, input.namespace);
  const metadata = objectAt(original, 'metadata');
  const podName = `${input.namespace}/${String(metadata.name ?? metadata.generateName ?? workload.name)}`;
  if (listAt(original, 'spec', 'containers').length === 0)
    throw new InjectionError(`pod ${podName}`, 'spec.containers', 'must have at least one container');

  const annotations = textMap(metadata.annotations);
  const labels = textMap(metadata.labels);
  checkAnnotations(annotations, `pod ${podName}`);
  const podSettings = proxySettings(
    input.meshConfig.defaultConfig,
    objectSettings(
      input.proxyConfigs ?? [],
      { namespace: input.namespace, labels },
      input.meshConfig.rootNamespace || 'istio-system',
    ),
    annotations,
    `pod ${podName}`,
  );
  const settings = authoritySettings(podSettings, input.meshConfig);
  const placed = withPlace(input, labels);
  const config = {
    ...placed,
    values: trustBundleValues(authorityValues(placed.values, input.meshConfig), input.trustBundle),
  };
  const native = annotations['sidecar.istio.io/nativeSidecar'];
  const values = config.values;

  let pod = original;
  let template: JsonObject = {};
  for (const name of selectTemplates(config, annotations['inject.istio.io/templates'], `pod ${podName}`)) {
    const rendered = renderTemplate(name, {
      pod: original,
      podName,
      workload,
      config,
      meshConfig: input.meshConfig,
      proxyConfig: settings,
      ownProxyConfig: ownSettings(settings),
      revision: input.revision,
      proxyImage: proxyImage(values, objectAt(values, 'global', 'proxy').image, annotations, settings),
      proxyInitImage: proxyImage(values, objectAt(values, 'global', 'proxy_init').image, annotations, settings),
      proxyUid: input.proxyUid ?? 1337,
      proxyGid: input.proxyGid ?? 1337,
      nativeSidecars: native === undefined ? input.nativeSidecars === true : native === 'true',
    });
    template = mergePod(template, rendered);
    pod = mergePod(pod, rendered);
  }
  const overridden = applyOverrides(pod, original, template);
  pod = addAnnotations(overridden.pod, config.injectedAnnotations, false);
  // A template may decide these for its pods.
  const decided = textMap(objectAt(pod, 'metadata').annotations);
  pod = applyMetrics(pod, original, settings, mergesMetrics(input.meshConfig, decided), former.prometheus);
  pod = applyProbes(pod, settings, rewritesProbes(config, decided), former.probers);
  pod = reorder(pod, settings.holdApplicationUntilProxyStarts === true);
  pod = addAnnotations(
    pod,
    {
      [STATUS]: status(template, input.revision),
      ...(overridden.text === undefined ? {} : { [OVERRIDES]: overridden.text }),
    },
    true,
  );
  return { injected: true, pod, patch: jsonPatch(input.pod, pod) };
}

/** The configuration with cluster and network of the place that the pod is in. */
function withPlace(input: InjectionInput, labels: Readonly<Record<string, string>>): InjectionConfig {
  const network = labels['topology.istio.io/network'] ?? input.network;
  if (network === undefined && input.cluster === undefined) return input.config;
  const global = objectAt(input.config.values, 'global');
  return {
    ...input.config,
    values: {
      ...input.config.values,
      global: {
        ...global,
        ...(network === undefined ? {} : { network }),
        ...(input.cluster === undefined
          ? {}
          : { multiCluster: { ...objectAt(global, 'multiCluster'), clusterName: input.cluster } }),
      },
    },
  };
}

/**
 * A container that the user wrote under a name of the template says what to change of it: it is laid over the template's one.
 * `image: auto` stands for the template's image.
 */
function applyOverrides(
  pod: JsonObject,
  original: JsonObject,
  template: JsonObject,
): { readonly pod: JsonObject; readonly text: string | undefined } {
  const kept: { containers: JsonObject[]; initContainers: JsonObject[] } = { containers: [], initContainers: [] };
  const mine = new Map<string, JsonObject>();
  for (const key of ['containers', 'initContainers'] as const) {
    for (const container of listAt(template, 'spec', key)) {
      const name = String(container.name);
      const user = [...listAt(original, 'spec', 'containers'), ...listAt(original, 'spec', 'initContainers')].find(
        (each) => each.name === name,
      );
      if (user === undefined) continue;
      kept[listAt(original, 'spec', 'containers').includes(user) ? 'containers' : 'initContainers'].push(user);
      mine.set(name, mergeContainer(container, withoutAutomaticImage(user)));
    }
  }
  if (mine.size === 0) return { pod, text: undefined };
  const spec = objectAt(pod, 'spec');
  const place = (key: 'containers' | 'initContainers'): readonly JsonObject[] => {
    const wanted = new Set(listAt(template, 'spec', key).map((container) => String(container.name)));
    // A container that the template puts into the other list moves there.
    return listAt(pod, 'spec', key)
      .filter((container) => !mine.has(String(container.name)) || wanted.has(String(container.name)))
      .map((container) => mine.get(String(container.name)) ?? container);
  };
  return {
    pod: {
      ...pod,
      spec: {
        ...spec,
        containers: place('containers'),
        ...(spec.initContainers === undefined ? {} : { initContainers: place('initContainers') }),
      },
    },
    text: JSON.stringify({
      ...(kept.containers.length > 0 ? { containers: kept.containers } : {}),
      ...(kept.initContainers.length > 0 ? { initContainers: kept.initContainers } : {}),
    }),
  };
}

/** The API server has given an image without a tag, as `auto` is one, the policy `Always`: nobody asked for it. */
function withoutAutomaticImage(container: JsonObject): JsonObject {
  const { image, imagePullPolicy, ...rest } = container;
  if (image !== undefined && image !== 'auto' && image !== '') return container;
  return imagePullPolicy === undefined || imagePullPolicy === 'Always' ? rest : { ...rest, imagePullPolicy };
}

function addAnnotations(pod: JsonObject, added: Readonly<Record<string, string>>, overwrite: boolean): JsonObject {
  const metadata = objectAt(pod, 'metadata');
  const present = textMap(metadata.annotations);
  return {
    ...pod,
    metadata: { ...metadata, annotations: overwrite ? { ...present, ...added } : { ...added, ...present } },
  };
}

/** Changes the proxy's container in whichever list it is. */
function mapProxy(pod: JsonObject, change: (proxy: JsonObject) => JsonObject): JsonObject {
  const spec = objectAt(pod, 'spec');
  const map = (key: 'containers' | 'initContainers') =>
    spec[key] === undefined
      ? {}
      : {
          [key]: listAt(pod, 'spec', key).map((container) =>
            container.name === PROXY ? change(container) : container,
          ),
        };
  return { ...pod, spec: { ...spec, ...map('containers'), ...map('initContainers') } };
}

function withVariable(container: JsonObject, name: string, value: string): JsonObject {
  return { ...container, env: [...listAt(container, 'env').filter((each) => each.name !== name), { name, value }] };
}

function hasProxy(pod: JsonObject): boolean {
  return [...listAt(pod, 'spec', 'containers'), ...listAt(pod, 'spec', 'initContainers')].some(
    (container) => container.name === PROXY,
  );
}

/** Prometheus scrapes the agent, which adds the application's metrics to the proxy's (Istio's documentation, "Metrics merging"). */
function applyMetrics(
  pod: JsonObject,
  original: JsonObject,
  settings: ProxyConfig,
  merge: boolean,
  former: JsonObject | undefined,
): JsonObject {
  if (!merge || !hasProxy(pod) || settings.statusPort === 0) return pod;
  const own = textMap(objectAt(original, 'metadata').annotations);
  const scrape = former ?? {
    scrape: own['prometheus.io/scrape'] ?? '',
    path: own['prometheus.io/path'] ?? '',
    port: own['prometheus.io/port'] ?? '',
  };
  // Somebody who says that there is nothing to scrape is left alone.
  if (scrape.scrape === 'false') return pod;
  const pointed = addAnnotations(
    pod,
    {
      'prometheus.io/scrape': 'true',
      'prometheus.io/port': String(settings.statusPort),
      'prometheus.io/path': '/stats/prometheus',
    },
    true,
  );
  if (scrape.scrape === '' && scrape.path === '' && scrape.port === '') return pointed;
  // A pod whose annotations point to the agent already has no metrics of its own.
  if (scrape.port === String(settings.statusPort) && scrape.path === '/stats/prometheus') return pointed;
  return mapProxy(pointed, (proxy) => withVariable(proxy, 'ISTIO_PROMETHEUS_ANNOTATIONS', JSON.stringify(scrape)));
}

function rewritesProbes(config: InjectionConfig, annotations: Readonly<Record<string, string>>): boolean {
  const own = annotations['sidecar.istio.io/rewriteAppHTTPProbers'];
  if (own !== undefined) return own === 'true';
  return objectAt(config.values, 'sidecarInjectorWebhook').rewriteAppHTTPProbe !== false;
}

function applyProbes(pod: JsonObject, settings: ProxyConfig, rewrite: boolean, former: Probers): JsonObject {
  if (!rewrite || !hasProxy(pod) || settings.statusPort === 0) return pod;
  const spec = objectAt(pod, 'spec');
  let probers: Probers = former;
  const change = (container: JsonObject, native: boolean): JsonObject => {
    // Init containers have probes only when they keep running.
    if (container.name === PROXY || (native && container.restartPolicy !== 'Always')) return container;
    const result = rewriteProbes(container, settings.statusPort);
    probers = { ...probers, ...result.probers };
    return result.container;
  };
  const changed = {
    ...pod,
    spec: {
      ...spec,
      containers: listAt(pod, 'spec', 'containers').map((container) => change(container, false)),
      ...(spec.initContainers === undefined
        ? {}
        : { initContainers: listAt(pod, 'spec', 'initContainers').map((container) => change(container, true)) }),
    },
  };
  if (Object.keys(probers).length === 0) return changed;
  const text = JSON.stringify(Object.fromEntries(Object.entries(probers).sort(([a], [b]) => (a < b ? -1 : 1))));
  return mapProxy(changed, (proxy) => withVariable(proxy, 'ISTIO_KUBE_APP_PROBERS', text));
}

/**
 * The order of the containers. With a native sidecar the mesh comes first, so that other init containers are part of it; without one the rules come
 * last, so that init containers still have a network. The proxy is last among the containers, or first where applications wait for it.
 */
function reorder(pod: JsonObject, hold: boolean): JsonObject {
  const spec = objectAt(pod, 'spec');
  const native = listAt(pod, 'spec', 'initContainers').some((container) => container.name === PROXY);
  const rank = (container: JsonObject): number => {
    if (container.name === 'istio-validation') return 0;
    if (container.name === 'istio-init') return native ? 1 : 4;
    return container.name === PROXY ? 2 : 3;
  };
  const proxyRank = (container: JsonObject): number => (container.name === PROXY ? (hold ? 0 : 2) : 1);
  const sortBy = (list: readonly JsonObject[], by: (container: JsonObject) => number): readonly JsonObject[] =>
    [...list].sort((a, b) => by(a) - by(b));
  return {
    ...pod,
    spec: {
      ...spec,
      ...(spec.initContainers === undefined
        ? {}
        : { initContainers: sortBy(listAt(pod, 'spec', 'initContainers'), rank) }),
      containers: sortBy(listAt(pod, 'spec', 'containers'), proxyRank),
    },
  };
}

/** The record of what was put in, by which a later injection can take it out again. */
function status(template: JsonObject, revision: string): string {
  const names = (key: string): readonly Json[] | null => {
    const list = listAt(template, 'spec', key).map((item) => String(item.name));
    return list.length > 0 ? list : null;
  };
  return JSON.stringify({
    initContainers: names('initContainers'),
    containers: names('containers'),
    volumes: names('volumes'),
    imagePullSecrets: names('imagePullSecrets'),
    revision: revision === '' ? 'default' : revision,
  });
}
