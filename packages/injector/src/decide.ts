import { labelSelectorMatches } from '@istio-ts/kube';
import type { InjectionConfig } from './config.ts';
import { type JsonObject, objectAt, textMap } from './json.ts';
import { isEmptySelector } from './selector.ts';

/** Namespaces of the platform itself, never injected (Istio's documentation, "Installing the sidecar"). */
export const IGNORED_NAMESPACES: ReadonlySet<string> = new Set([
  'kube-system',
  'kube-public',
  'kube-node-lease',
  'local-path-storage',
]);

export type Decision = { readonly inject: true } | { readonly inject: false; readonly reason: string };

function no(reason: string): Decision {
  return { inject: false, reason };
}

/**
 * Whether a pod gets a proxy, once a webhook or `kube-inject` asks for it: the pod's own word first (label, then annotation
 * `sidecar.istio.io/inject`), then the selectors, then the policy.
 */
export function decideInjection(pod: JsonObject, namespace: string, config: InjectionConfig): Decision {
  if (objectAt(pod, 'spec').hostNetwork === true)
    return no('it uses the network of its node (hostNetwork), where traffic cannot be captured');
  if (IGNORED_NAMESPACES.has(namespace)) return no(`namespace ${namespace} belongs to the platform`);
  const labels = textMap(objectAt(pod, 'metadata').labels);
  const annotations = textMap(objectAt(pod, 'metadata').annotations);
  const word = labels['sidecar.istio.io/inject'] ?? annotations['sidecar.istio.io/inject'];
  const own = parseChoice(word);
  if (own === true) return { inject: true };
  if (own === false) return no('sidecar.istio.io/inject on the pod is not true');
  if (
    config.neverInjectSelector.some((selector) => !isEmptySelector(selector) && labelSelectorMatches(selector, labels))
  )
    return no('neverInjectSelector of the mesh matches its labels');
  if (
    config.alwaysInjectSelector.some((selector) => !isEmptySelector(selector) && labelSelectorMatches(selector, labels))
  )
    return { inject: true };
  return config.policy === 'enabled'
    ? { inject: true }
    : no('the policy of the mesh is disabled and the pod does not ask for injection');
}

/** undefined where nothing is said. Anything that is not a yes is a no. */
function parseChoice(word: string | undefined): boolean | undefined {
  if (word === undefined || word === '') return undefined;
  return ['y', 'yes', 'true', 'on', '1', 't'].includes(word.toLowerCase());
}
