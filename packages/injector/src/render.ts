import type { MeshConfig, ProxyConfig } from '@istio-ts/api';
import {
  asDecoded,
  type GoMap,
  GoObject,
  type GoValue,
  helmOptions,
  readYaml,
  TemplateSet,
} from '@istio-ts/gotemplate';
import type { InjectionConfig } from './config.ts';
import { InjectionError } from './errors.ts';
import { INJECTION_FUNCTIONS } from './functions.ts';
import { goView } from './go-view.ts';
import { isObject, type JsonObject, objectAt } from './json.ts';

/** The workload that a pod belongs to. */
export interface Workload {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly namespace: string;
}

export interface TemplateData {
  readonly pod: JsonObject;
  readonly podName: string;
  readonly workload: Workload;
  readonly config: InjectionConfig;
  readonly meshConfig: MeshConfig;
  /** All settings of this proxy. */
  readonly proxyConfig: ProxyConfig;
  /** What of them is not the default: what the proxy is told. */
  readonly ownProxyConfig: JsonObject;
  readonly revision: string;
  readonly proxyImage: string;
  readonly proxyInitImage: string;
  readonly proxyUid: number;
  readonly proxyGid: number;
  readonly nativeSidecars: boolean;
}

const LIMITS = { output: 1024 * 1024, steps: 1_000_000, depth: 50 } as const;
/** Parsed templates by their text: the same few are rendered for every pod. */
const PARSED = new Map<string, TemplateSet>();

function parsed(name: string, text: string): TemplateSet {
  const key = `${name}\n${text}`;
  const known = PARSED.get(key);
  if (known !== undefined) return known;
  const set = new TemplateSet({ ...helmOptions({ functions: INJECTION_FUNCTIONS }), limits: LIMITS });
  set.parse(name, text);
  if (PARSED.size > 64) PARSED.clear();
  PARSED.set(key, set);
  return set;
}

/** Fills in a template. Throws `InjectionError`. */
export function execute(name: string, text: string | undefined, data: GoMap, subject: string): string {
  try {
    return parsed(name, text ?? '').execute(name, data);
  } catch (error) {
    throw new InjectionError(
      subject,
      '',
      `injection template ${name}: ${error instanceof Error ? error.message : String(error)}`,
      error,
    );
  }
}

/** Templates that make the objects of a Gateway, not a part of a pod. */
const FOR_GATEWAYS: ReadonlySet<string> = new Set(['waypoint', 'kube-gateway']);

/** Renders one injection template for a pod: a partial pod to merge. Throws `InjectionError`. */
export function renderTemplate(name: string, data: TemplateData): JsonObject {
  const subject = `pod ${data.podName}`;
  if (FOR_GATEWAYS.has(name))
    throw new InjectionError(
      subject,
      'annotation inject.istio.io/templates',
      `the template ${name} makes the Deployment of a Gateway, it cannot be put into a pod`,
    );
  const { workload } = data;
  const text = execute(
    name,
    data.config.templates[name],
    {
      TypeMeta: goView({ apiVersion: workload.apiVersion, kind: workload.kind }),
      DeploymentMeta: goView({ name: workload.name, namespace: workload.namespace }),
      ObjectMeta: goView({ labels: {}, annotations: {}, ...objectAt(data.pod, 'metadata') }),
      Spec: goView({ securityContext: {}, ...objectAt(data.pod, 'spec') }),
      // Read as a struct with defaults, written as what differs from them.
      ProxyConfig: withData(goView(data.proxyConfig), data.ownProxyConfig),
      MeshConfig: goView(data.meshConfig),
      Values: asDecoded(data.config.values),
      Revision: data.revision,
      ProxyImage: data.proxyImage,
      ProxyInitImage: data.proxyInitImage,
      ProxyUID: data.proxyUid,
      ProxyGID: data.proxyGid,
      NativeSidecars: data.nativeSidecars,
      InboundTrafficPolicyMode: data.meshConfig.inboundTrafficPolicy?.mode ?? 'PASSTHROUGH',
      CompliancePolicy: '',
    },
    subject,
  );
  let value: unknown;
  try {
    value = readYaml(text);
  } catch (error) {
    throw new InjectionError(
      subject,
      '',
      `injection template ${name} does not render to YAML: ${error instanceof Error ? error.message : String(error)}`,
      error,
    );
  }
  if (value === null || value === undefined) return {};
  if (!isObject(value)) throw new InjectionError(subject, '', `injection template ${name} does not render to a pod`);
  return value;
}

/** The view of a struct that writes itself as this data. */
export function withData(view: GoValue, data: JsonObject): GoValue {
  return view instanceof GoObject
    ? new GoObject(view.typeName, view.fields, view.methods, { ...view.options, data })
    : view;
}
