import type { Json, JsonObject } from '@istio-ts/charts';
import { mergeSpec } from './spec.ts';

/** Settings that have no successor: what became of the part. */
const withoutSuccessor: Readonly<Record<string, string>> = {
  security: 'istiod is the certificate authority',
  configManagement: 'istiod validates and distributes configuration (Galley is part of it)',
  policy: 'Mixer is gone: use AuthorizationPolicy and Telemetry',
  telemetry: 'Mixer is gone: proxies report metrics themselves',
  autoInjection: 'istiod injects sidecars',
  nodeAgent: 'the agent in each pod brings certificates',
  coreDNS: 'the agent answers DNS',
  thirdParty: 'addons are installed from samples/addons',
};

const isObject = (value: Json | undefined): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const nested = (path: readonly string[], value: Json): JsonObject =>
  path.reduceRight<Json>((inner, key) => ({ [key]: inner }), value) as JsonObject;

/**
 * Turns the settings of Istio 1.4 (IstioControlPlane v1alpha2: `cni.enabled`, `gateways.components.…`, `trafficManagement…`) into today's. Returns a
 * message for each setting that has no successor.
 */
export function translateLegacy(spec: JsonObject): { readonly spec: JsonObject; readonly messages: readonly string[] } {
  const messages: string[] = [];
  let result: JsonObject = {};
  const add = (path: readonly string[], value: Json) => {
    result = mergeSpec(result, nested(path, value));
  };
  for (const [feature, value] of Object.entries(spec)) {
    const successor = withoutSuccessor[feature];
    if (successor !== undefined) {
      messages.push(`${feature}: this setting has no successor: ${successor}`);
    } else if (feature === 'cni' && isObject(value)) {
      const components = isObject(value.components) ? value.components : {};
      const own = isObject(components.cni) ? components.cni : components;
      if (value.enabled !== undefined) add(['components', 'cni', 'enabled'], value.enabled);
      if (own.namespace !== undefined) add(['components', 'cni', 'namespace'], own.namespace);
      if (own.k8s !== undefined) add(['components', 'cni', 'k8s'], own.k8s);
    } else if (feature === 'trafficManagement' && isObject(value)) {
      const components = isObject(value.components) ? value.components : {};
      if (value.enabled !== undefined) add(['components', 'pilot', 'enabled'], value.enabled);
      if (isObject(components.pilot)) add(['components', 'pilot'], components.pilot);
    } else if (feature === 'gateways' && isObject(value)) {
      const components = isObject(value.components) ? value.components : {};
      for (const [old, list, name] of [
        ['ingressGateway', 'ingressGateways', 'istio-ingressgateway'],
        ['egressGateway', 'egressGateways', 'istio-egressgateway'],
      ] as const) {
        const own = isObject(components[old]) ? components[old] : {};
        const enabled = own.enabled ?? value.enabled;
        if (enabled !== undefined || Object.keys(own).length > 0)
          add(['components', list], [{ name, ...own, ...(enabled !== undefined && { enabled }) }]);
      }
    } else {
      add([feature], value);
    }
  }
  return { spec: result, messages };
}

const legacyRoots = new Set(['cni', 'trafficManagement', 'gateways', ...Object.keys(withoutSuccessor)]);

/** True for settings of the old API, which `--set` may still name (`--set cni.enabled=true`). */
export function hasLegacySettings(spec: JsonObject): boolean {
  return Object.keys(spec).some((key) => legacyRoots.has(key));
}
