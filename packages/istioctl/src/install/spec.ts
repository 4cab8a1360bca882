import { isJsonObject, type Json, type JsonObject } from '@istio-ts/charts/json';

/** A gateway in the lists `components.ingressGateways` and `components.egressGateways`. */
export interface GatewayComponent extends Component {
  readonly name: string;
  readonly label?: Readonly<Record<string, string>>;
}

/** One part of an installation. */
export interface Component {
  readonly enabled?: boolean;
  readonly namespace?: string;
  readonly hub?: string;
  readonly tag?: string;
  readonly k8s?: JsonObject;
}

/** The settings of an installation (install.istio.io/v1alpha1 IstioOperator, spec). */
export interface InstallSpec {
  readonly profile?: string;
  readonly hub?: string;
  readonly tag?: string;
  readonly revision?: string;
  readonly namespace?: string;
  readonly compatibilityVersion?: string;
  readonly defaultRevision?: string;
  readonly meshConfig?: JsonObject;
  readonly components?: {
    readonly base?: Component;
    readonly pilot?: Component;
    readonly cni?: Component;
    readonly ztunnel?: Component;
    readonly ingressGateways?: readonly GatewayComponent[];
    readonly egressGateways?: readonly GatewayComponent[];
  };
  readonly values?: JsonObject;
  readonly unvalidatedValues?: JsonObject;
}

/** Settings that IstioOperator knows at its top; anything else is a mistake worth a message. */
export const specFields: readonly string[] = [
  'profile',
  'installPackagePath',
  'hub',
  'tag',
  'resourceSuffix',
  'revision',
  'namespace',
  'defaultRevision',
  'compatibilityVersion',
  'meshConfig',
  'components',
  'addonComponents',
  'values',
  'unvalidatedValues',
];

export const componentFields: readonly string[] = [
  'base',
  'pilot',
  'proxy',
  'sidecarInjector',
  'policy',
  'telemetry',
  'citadel',
  'nodeAgent',
  'galley',
  'cni',
  'ztunnel',
  'istiodRemote',
  'ingressGateways',
  'egressGateways',
];

const gatewayLists = new Set(['ingressGateways', 'egressGateways']);

/** Lays one set of settings on another: mappings key by key, gateways by their name, other lists and values replace. */
export function mergeSpec(under: JsonObject, over: JsonObject): JsonObject {
  const merged: Record<string, Json> = { ...under };
  for (const [key, value] of Object.entries(over)) {
    const present = merged[key];
    if (gatewayLists.has(key) && Array.isArray(present) && Array.isArray(value))
      merged[key] = mergeGateways(present, value);
    else if (isJsonObject(present) && isJsonObject(value)) merged[key] = mergeSpec(present, value);
    else merged[key] = value;
  }
  return merged;
}

function mergeGateways(under: readonly Json[], over: readonly Json[]): readonly Json[] {
  const merged = [...under];
  for (const item of over) {
    const index = merged.findIndex(
      (present) =>
        isJsonObject(present) &&
        isJsonObject(item) &&
        present.name === item.name &&
        (item.namespace === undefined || present.namespace === undefined || present.namespace === item.namespace),
    );
    const present = merged[index];
    if (index >= 0 && isJsonObject(present) && isJsonObject(item)) merged[index] = mergeSpec(present, item);
    else merged.push(item);
  }
  return merged;
}
