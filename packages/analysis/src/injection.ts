import { fields, list, text } from '@istio-ts/mesh/kubernetes/read';
import { parseYaml } from '@istio-ts/kube/yaml';
import type { ConfigObject } from './config-object.ts';
import { type AnalysisContext, isSystemNamespace } from './context.ts';
import type { Workload } from './workloads.ts';

/** The settings of the injector of the revision under analysis, as far as messages are about them. */
export interface InjectorSettings {
  /** Pods of namespaces that say nothing are injected. */
  readonly enabledByDefault: boolean;
  /** Image that a new pod's proxy gets; undefined where the injector's values are not known. */
  readonly proxyImage: string | undefined;
}

/** Reads the ConfigMap `istio-sidecar-injector` of the revision; name `ConfigMap` among the inputs. */
export function injectorSettings(context: AnalysisContext): InjectorSettings {
  const { istioNamespace, revision } = context.snapshot;
  const suffix = revision === 'default' ? '' : `-${revision}`;
  const map = context.find('ConfigMap', istioNamespace, `istio-sidecar-injector${suffix}`);
  const values = fields(readQuietly(text(fields(map?.object.data).values)));
  const global = fields(values.global);
  const image = text(fields(global.proxy).image);
  const variant = text(global.variant);
  const tag = [String(global.tag ?? ''), variant].filter((part) => part !== '').join('-');
  return {
    enabledByDefault: fields(values.sidecarInjectorWebhook).enableNamespacesByDefault === true,
    proxyImage:
      map === undefined || image === '' || tag === ''
        ? undefined
        : image.includes('/')
          ? image
          : `${text(global.hub)}/${image}:${tag}`,
  };
}

function readQuietly(yaml: string): unknown {
  try {
    return parseYaml(yaml, 'values');
  } catch {
    // Values that nobody can read are istiod's problem and say nothing about pods.
    return {};
  }
}

/** What the labels of a namespace say about injection, before pods have their own say. */
export type NamespaceChoice = 'inject' | 'refuse' | 'ambient' | 'nothing';

export function namespaceChoice(namespace: ConfigObject): NamespaceChoice {
  const injection = namespace.labels['istio-injection'];
  if (injection === 'enabled') return 'inject';
  if (injection === 'disabled') return 'refuse';
  if ((namespace.labels['istio.io/rev'] ?? '') !== '') return 'inject';
  if (namespace.labels['istio.io/dataplane-mode'] === 'ambient') return 'ambient';
  return 'nothing';
}

/** Whether the control plane under analysis is the one that injects pods of a namespace. */
export function injectsNamespace(
  context: AnalysisContext,
  namespace: ConfigObject,
  settings: InjectorSettings,
): boolean {
  const { revision } = context.snapshot;
  const choice = namespaceChoice(namespace);
  if (choice === 'inject') {
    if (namespace.labels['istio-injection'] === 'enabled') return revision === 'default';
    return namespace.labels['istio.io/rev'] === revision;
  }
  return choice === 'nothing' && settings.enabledByDefault && revision === 'default';
}

/** Namespaces that hold applications: not those of Kubernetes, nor the control plane's. */
export const isApplicationNamespace = (context: AnalysisContext, name: string): boolean =>
  !isSystemNamespace(name) && name !== context.snapshot.istioNamespace;

/** A pod's own word: label first, then annotation; undefined where it says nothing. */
export function podChoice(workload: Workload): boolean | undefined {
  const word = workload.labels['sidecar.istio.io/inject'] ?? workload.annotations['sidecar.istio.io/inject'];
  return word === undefined || word === '' ? undefined : word.toLowerCase() === 'true';
}

/** The proxy container of a workload, among its containers or its init containers (native sidecars). */
export function proxyContainer(workload: Workload): Readonly<Record<string, unknown>> | undefined {
  return [...list(workload.spec.containers), ...list(workload.spec.initContainers)]
    .map(fields)
    .find(({ name }) => name === 'istio-proxy');
}
