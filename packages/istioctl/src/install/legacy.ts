import { isJsonObject, type Json, type JsonObject } from '@istio-ts/charts/json';
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
    } else if (feature === 'cni' && isJsonObject(value)) {
      const components = isJsonObject(value.components) ? value.components : {};
      // The namespace stood beside the component as well as in it; what is nearer wins.
      const { cni: inner, ...beside } = components;
      const own = mergeSpec(beside, isJsonObject(inner) ? inner : {});
      if (value.enabled !== undefined) add(['components', 'cni', 'enabled'], value.enabled);
      for (const field of ['namespace', 'k8s', 'hub', 'tag'])
        if (own[field] !== undefined) add(['components', 'cni', field], own[field]);
    } else if (feature === 'trafficManagement' && isJsonObject(value)) {
      const components = isJsonObject(value.components) ? value.components : {};
      if (value.enabled !== undefined) add(['components', 'pilot', 'enabled'], value.enabled);
      if (isJsonObject(components.pilot)) add(['components', 'pilot'], components.pilot);
    } else if (feature === 'gateways' && isJsonObject(value)) {
      const components = isJsonObject(value.components) ? value.components : {};
      for (const [old, list, name] of [
        ['ingressGateway', 'ingressGateways', 'istio-ingressgateway'],
        ['egressGateway', 'egressGateways', 'istio-egressgateway'],
      ] as const) {
        const own = isJsonObject(components[old]) ? components[old] : {};
        const enabled = own.enabled ?? value.enabled;
        if (enabled !== undefined || Object.keys(own).length > 0)
          add(['components', list], [{ name, ...own, ...(enabled !== undefined && { enabled }) }]);
      }
    } else if (feature === 'defaultNamespace') {
      add(['namespace'], value);
    } else {
      add([feature], value);
    }
  }
  return { spec: result, messages };
}

const legacyRoots = new Set([
  'cni',
  'trafficManagement',
  'gateways',
  'defaultNamespace',
  ...Object.keys(withoutSuccessor),
]);

/** Values of Istio 1.4 to 1.6 that are fields of the mesh configuration now. */
const movedToMesh: Readonly<Record<string, string>> = {
  'global.proxy.accessLogFile': 'accessLogFile',
  'global.proxy.accessLogFormat': 'accessLogFormat',
  'global.proxy.accessLogEncoding': 'accessLogEncoding',
  'global.proxy.concurrency': 'defaultConfig.concurrency',
  'global.proxy.protocolDetectionTimeout': 'protocolDetectionTimeout',
  'global.outboundTrafficPolicy': 'outboundTrafficPolicy',
  'global.enableTracing': 'enableTracing',
  'global.trustDomain': 'trustDomain',
  'global.trustDomainAliases': 'trustDomainAliases',
  'global.mtls.auto': 'enableAutoMtls',
  'global.localityLbSetting': 'localityLbSetting',
};

/** Values of former versions that nothing answers to any more: what became of them. */
const goneValues: Readonly<Record<string, string>> = {
  'global.mtls': 'mutual TLS is set by PeerAuthentication',
  'global.sds': 'proxies always get their certificates by secret discovery',
  'global.controlPlaneSecurityEnabled': 'the control plane always talks over mutual TLS',
  'global.disablePolicyChecks': 'Mixer is gone: use AuthorizationPolicy',
  'global.policyCheckFailOpen': 'Mixer is gone: use AuthorizationPolicy',
  'global.useMCP': 'istiod reads configuration itself',
  'global.k8sIngress': 'Ingress is served by gateways when meshConfig.ingressControllerMode says so',
  mixer: 'Mixer is gone: proxies report metrics themselves',
  galley: 'istiod validates configuration',
  security: 'istiod is the certificate authority',
  nodeagent: 'the agent in each pod brings certificates',
  grafana: 'addons are installed from samples/addons',
  kiali: 'addons are installed from samples/addons',
  prometheus: 'addons are installed from samples/addons',
  tracing: 'addons are installed from samples/addons',
  istiocoredns: 'the agent answers DNS',
  certmanager: 'install cert-manager itself',
};

const child = (value: Json | undefined, key: string): Json | undefined =>
  isJsonObject(value) && Object.hasOwn(value, key) ? value[key] : undefined;

function without(object: JsonObject, [key = '', ...rest]: readonly string[]): JsonObject {
  const { [key]: value, ...others } = object;
  if (rest.length === 0) return others;
  return isJsonObject(value) ? { ...object, [key]: without(value, rest) } : object;
}

/**
 * Values below `values` that stand somewhere else today, or nowhere. A setting that is in its new place already wins. Returns a message for each.
 */
export function translateValues(spec: JsonObject): { readonly spec: JsonObject; readonly messages: readonly string[] } {
  const messages: string[] = [];
  let values = isJsonObject(spec.values) ? spec.values : undefined;
  if (values === undefined) return { spec, messages };
  let mesh: JsonObject = {};
  for (const [old, field] of Object.entries(movedToMesh)) {
    const path = old.split('.');
    const value = path.reduce<Json | undefined>(child, values);
    if (value === undefined || value === null) continue;
    values = without(values, path);
    mesh = mergeSpec(mesh, nested(field.split('.'), value));
    messages.push(`values.${old}: is meshConfig.${field} now and was taken from here`);
  }
  for (const [old, reason] of Object.entries(goneValues)) {
    const path = old.split('.');
    const value = path.reduce<Json | undefined>(child, values);
    // `global.sds.token.aud` is the only setting of secret discovery that is left.
    if (value === undefined || (old === 'global.sds' && child(value, 'enabled') === undefined)) continue;
    if (old === 'global.mtls' && isJsonObject(value) && Object.keys(value).length === 0) {
      values = without(values, path);
      continue;
    }
    values = without(values, old === 'global.sds' ? [...path, 'enabled'] : path);
    messages.push(`values.${old}: this setting has no successor: ${reason}`);
  }
  if (messages.length === 0) return { spec, messages };
  const own = isJsonObject(spec.meshConfig) ? spec.meshConfig : {};
  const meshConfig = mergeSpec(mesh, own);
  return {
    spec: { ...spec, values, ...(Object.keys(meshConfig).length > 0 && { meshConfig }) },
    messages,
  };
}

/** True for settings of the old API, which `--set` may still name (`--set cni.enabled=true`). */
export function hasLegacySettings(spec: JsonObject): boolean {
  return Object.keys(spec).some((key) => legacyRoots.has(key));
}
