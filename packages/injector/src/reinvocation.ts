import { isObject, type JsonObject, listAt, objectAt, textMap } from './json.ts';
import type { Probers } from './probes.ts';

export const STATUS = 'sidecar.istio.io/status';
export const OVERRIDES = 'proxy.istio.io/overrides';

export interface FormerInjection {
  /** The pod as it was before, except for the application's probes, which stay rewritten. */
  readonly pod: JsonObject;
  /** What the agent was told to ask the application. */
  readonly probers: Probers;
  /** Annotations of the application about its metrics, before they pointed to the agent. */
  readonly prometheus: JsonObject | undefined;
}

function parse(text: string | undefined): JsonObject {
  if (text === undefined || text.length > 1024 * 1024) return {};
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : {};
  } catch {
    // An annotation that users can write: what is not JSON says nothing.
    return {};
  }
}

/**
 * Takes an earlier injection out of a pod, so that injecting again gives what injecting once gives. The annotation with the status
 * lists what was put in, the one with the overrides what the user had written under the same names.
 */
export function undoInjection(pod: JsonObject): FormerInjection {
  const annotations = textMap(objectAt(pod, 'metadata').annotations);
  if (annotations[STATUS] === undefined) return { pod, probers: {}, prometheus: undefined };
  const status = parse(annotations[STATUS]);
  const overrides = parse(annotations[OVERRIDES]);
  const spec = objectAt(pod, 'spec');
  const proxy = [...listAt(spec, 'containers'), ...listAt(spec, 'initContainers')].find(
    (container) => container.name === 'istio-proxy',
  );
  const variable = (name: string): JsonObject | undefined => {
    const value = listAt(proxy, 'env').find((each) => each.name === name)?.value;
    return typeof value === 'string' ? parse(value) : undefined;
  };
  const without = (key: 'containers' | 'initContainers' | 'volumes' | 'imagePullSecrets'): readonly JsonObject[] => {
    const listed = status[key];
    const names = Array.isArray(listed) ? listed : [];
    const own = listAt(overrides, key);
    return [...listAt(spec, key).filter((item) => !names.includes(String(item.name))), ...own];
  };
  const { [STATUS]: _status, [OVERRIDES]: _overrides, ...kept } = annotations;
  const optional = (key: 'initContainers' | 'volumes' | 'imagePullSecrets') =>
    spec[key] === undefined ? {} : { [key]: without(key) };
  return {
    pod: {
      ...pod,
      metadata: { ...objectAt(pod, 'metadata'), annotations: kept },
      spec: {
        ...spec,
        containers: without('containers'),
        ...optional('initContainers'),
        ...optional('volumes'),
        ...optional('imagePullSecrets'),
      },
    },
    probers: (variable('ISTIO_KUBE_APP_PROBERS') ?? {}) as Probers,
    prometheus: variable('ISTIO_PROMETHEUS_ANNOTATIONS'),
  };
}
