// Mesh configuration as the wizards see it: plain data that is read, changed in copies, and written as YAML.
import { dump, load } from 'js-yaml';

export type Json = string | number | boolean | null | readonly Json[] | { readonly [name: string]: Json | undefined };
export type Fields = { readonly [name: string]: Json | undefined };

/** An object of the Kubernetes API whose spec is known only as far as a wizard looks. */
export interface MeshObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: Fields & { readonly name: string; readonly namespace: string };
  readonly spec: Fields;
}

/** The service that a wizard is about. */
export interface WizardService {
  readonly namespace: string;
  readonly name: string;
  /** Values of the label `version` of its workloads. */
  readonly versions: readonly string[];
  /** Labels by which it chooses its pods. */
  readonly selector: Readonly<Record<string, string>>;
}

/** What a wizard is going to write, and what people should know about it. */
export interface WizardResult {
  readonly objects: readonly MeshObject[];
  readonly notes: readonly string[];
}

export const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

export const fieldsOf = (value: Json | undefined): Fields => (isFields(value) ? value : {});

export const listOf = (value: Json | undefined): readonly Fields[] =>
  Array.isArray(value) ? value.filter((item): item is Fields => isFields(item)) : [];

export const textsOf = (value: Json | undefined): readonly string[] =>
  Array.isArray(value) ? value.filter((item): item is string => typeof item === 'string') : [];

export const textOf = (value: Json | undefined): string | undefined => (typeof value === 'string' ? value : undefined);

export const numberOf = (value: Json | undefined): number | undefined =>
  typeof value === 'number' ? value : undefined;

/** What the API server writes into metadata itself. */
const serverFields = new Set([
  'managedFields',
  'uid',
  'resourceVersion',
  'generation',
  'creationTimestamp',
  'selfLink',
]);
const lastApplied = 'kubectl.kubernetes.io/last-applied-configuration';

/** Reads an object; undefined where the text is none. What the API server adds by itself (status, uid, ...) is left out. */
export function readObject(yaml: string): MeshObject | undefined {
  let value: unknown;
  try {
    value = load(yaml);
  } catch {
    return undefined;
  }
  if (!isFields(value) || !isFields(value.metadata) || typeof value.kind !== 'string') return undefined;
  const { name, namespace } = value.metadata;
  if (typeof value.apiVersion !== 'string' || typeof name !== 'string') return undefined;
  const metadata = Object.fromEntries(Object.entries(value.metadata).filter(([field]) => !serverFields.has(field)));
  if (isFields(metadata.annotations)) {
    const { [lastApplied]: _, ...annotations } = metadata.annotations;
    if (Object.keys(annotations).length > 0) metadata.annotations = annotations;
    else delete metadata.annotations;
  }
  return {
    apiVersion: value.apiVersion,
    kind: value.kind,
    metadata: { ...metadata, name, namespace: typeof namespace === 'string' ? namespace : '' },
    spec: fieldsOf(value.spec),
  };
}

export function writeObject({ apiVersion, kind, metadata, spec }: MeshObject): string {
  return dump({ apiVersion, kind, metadata, spec: compact(spec) }, { lineWidth: -1, noRefs: true });
}

/** Without undefined fields, which YAML does not know. */
function compact(value: Json | undefined): Json {
  if (Array.isArray(value)) return value.map((item: Json) => compact(item));
  if (!isFields(value)) return value ?? null;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, field]) => field !== undefined)
      .map(([name, field]) => [name, compact(field)]),
  );
}

/** Copies fields without those that are undefined or empty. */
export function without(fields: Fields, ...names: readonly string[]): Fields {
  return Object.fromEntries(Object.entries(fields).filter(([name]) => !names.includes(name)));
}

/** Sets a field, or takes it away when the value is undefined. */
export const withField = (fields: Fields, name: string, value: Json | undefined): Fields =>
  value === undefined ? without(fields, name) : { ...fields, [name]: value };

/**
 * Whether a host in an object of `namespace` means the service: its full name, or a short one, which is completed with the namespace of the object
 * (as the mesh does it).
 */
export function isHostOf(host: string, namespace: string, service: WizardService): boolean {
  const full = `${service.name}.${service.namespace}.svc.cluster.local`;
  if (host === full) return true;
  if (!host.includes('.')) return host === service.name && namespace === service.namespace;
  return full.startsWith(`${host}.`) && host.startsWith(`${service.name}.${service.namespace}`);
}

export const fullHost = ({ name, namespace }: Pick<WizardService, 'name' | 'namespace'>): string =>
  `${name}.${namespace}.svc.cluster.local`;
