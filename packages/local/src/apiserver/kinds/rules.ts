import type { ResourceDefinition } from '../definitions.ts';
import { storageKey } from '../definitions.ts';
import { asArray, asObject, asString, clone, isObject } from '../json.ts';
import type { ApiObject } from '../object.ts';
import type { RequestContext, Target } from '../operations/context.ts';
import type { ResourceRegistry } from '../registry.ts';
import { ApiError, badRequest, type FieldError, fieldError, invalid } from '../status.ts';
import { subresourcesOf } from '../discovery/discovery.ts';
import { applyBuiltinDefaults } from './defaults.ts';
import type { ServiceAllocator } from './services.ts';
import { dropNulls, typeMismatch } from './types.ts';
import { validateBuiltin, validateMetadata } from './validate.ts';

export { unknownFields } from './unknown-fields.ts';

/** Defaults and validation of custom resources; see `custom/`. */
export interface CustomRules {
  applyDefaults(object: ApiObject, target: Target): void;
  validate(object: ApiObject, target: Target, old: ApiObject | undefined): readonly FieldError[];
  /** Findings in a CustomResourceDefinition itself. */
  validateDefinition(object: ApiObject, old: ApiObject | undefined): readonly FieldError[];
}

/** What is special about single kinds on the way into the store. */
export class KindRules {
  readonly #registry: ResourceRegistry;
  readonly #services: ServiceAllocator;
  readonly #custom: CustomRules;

  constructor(registry: ResourceRegistry, services: ServiceAllocator, custom: CustomRules) {
    this.#registry = registry;
    this.#services = services;
    this.#custom = custom;
  }

  /** The status of these kinds cannot be set when creating them. */
  dropsStatusOnCreate(definition: ResourceDefinition): boolean {
    return !(definition.group === '' && ['Node', 'PersistentVolume'].includes(definition.kind));
  }

  applyDefaults(object: ApiObject, target: Target, _current: ApiObject | undefined): void {
    const { definition, version } = target;
    if (definition.custom !== undefined) {
      this.#custom.applyDefaults(object, target);
      return;
    }
    const schema = this.#registry.schema(definition, version);
    if (schema !== undefined) {
      const mismatch = typeMismatch(object, schema);
      if (mismatch !== undefined) {
        throw badRequest(
          `${definition.kind} in version ${JSON.stringify(version)} cannot be handled as a ${definition.kind}: ${mismatch}`,
        );
      }
    }
    const cleaned = dropNulls(object);
    if (isObject(cleaned)) {
      for (const key of Object.keys(object)) if (!(key in cleaned)) delete object[key];
      Object.assign(object, cleaned);
    }
    applyBuiltinDefaults(storageKey(definition), object);
  }

  prepareCreate(object: ApiObject, target: Target, context: RequestContext): void {
    switch (storageKey(target.definition)) {
      case '/pods':
        object.status = { phase: 'Pending', qosClass: qualityOfService(asObject(object.spec)) };
        break;
      case '/namespaces':
        object.spec = { ...asObject(object.spec), finalizers: ['kubernetes'] };
        object.status = { phase: 'Active' };
        break;
      case '/secrets':
        mergeStringData(object);
        break;
      case 'apiextensions.k8s.io/customresourcedefinitions':
        object.metadata.finalizers = [
          ...new Set([...(object.metadata.finalizers ?? []), 'customresourcecleanup.apiextensions.k8s.io']),
        ];
        break;
      case 'certificates.k8s.io/certificatesigningrequests': {
        const spec = asObject(object.spec);
        spec.username = context.user.name;
        spec.groups = [...context.user.groups];
        if (context.user.uid !== undefined) spec.uid = context.user.uid;
        break;
      }
      default:
    }
  }

  prepareUpdate(object: ApiObject, current: ApiObject, target: Target, _context: RequestContext): void {
    switch (storageKey(target.definition)) {
      case '/secrets':
        mergeStringData(object);
        break;
      case 'certificates.k8s.io/certificatesigningrequests':
        object.spec = current.spec;
        break;
      case '/namespaces':
        if (target.subresource !== 'finalize') object.spec = current.spec;
        break;
      case '/pods':
        if (target.subresource === '' && isObject(object.spec) && isObject(current.spec)) {
          const node = asString(current.spec.nodeName);
          if (node !== '') object.spec.nodeName = node;
        }
        break;
      case '/services':
        keepServiceAddresses(object, current);
        break;
      default:
    }
  }

  /** Which parts of the wanted state count: `/status` changes only the status, everything else leaves it alone. */
  merge(wanted: ApiObject, current: ApiObject, target: Target): ApiObject {
    const { definition, version, subresource } = target;
    if (subresource === 'status' || subresource === 'approval') {
      const metadata = { ...current.metadata };
      if (wanted.metadata.managedFields !== undefined) metadata.managedFields = wanted.metadata.managedFields;
      if (definition.custom === undefined) {
        for (const field of ['labels', 'annotations'] as const) {
          const value = wanted.metadata[field];
          if (value !== undefined) metadata[field] = value;
        }
      }
      const result: ApiObject = { ...clone(current), metadata };
      if (wanted.status === undefined) delete result.status;
      else result.status = wanted.status;
      return result;
    }
    if (!subresourcesOf(definition, version).includes('status')) return wanted;
    const result: ApiObject = { ...wanted };
    if (current.status === undefined) delete result.status;
    else result.status = clone(current.status);
    return result;
  }

  /** Throws the 422 `ApiError` with every finding. */
  validate(object: ApiObject, target: Target, old: ApiObject | undefined): void {
    const { definition } = target;
    const key = storageKey(definition);
    // While an object is being deleted its finalizers must stay removable, whatever else is wrong with it.
    const leaving = old?.metadata.deletionTimestamp !== undefined;
    let errors: FieldError[];
    if (definition.custom !== undefined) {
      errors = [...validateMetadata(object, key), ...(leaving ? [] : this.#custom.validate(object, target, old))];
    } else if (target.subresource !== '') errors = validateMetadata(object, key);
    else errors = leaving ? validateMetadata(object, key) : validateBuiltin(key, object, old);
    if (key === 'apiextensions.k8s.io/customresourcedefinitions' && target.subresource === '' && !leaving) {
      errors.push(...this.#custom.validateDefinition(object, old));
    }
    if (old !== undefined && old.metadata.deletionTimestamp !== undefined) {
      const added = (object.metadata.finalizers ?? []).filter(
        (item) => !(old.metadata.finalizers ?? []).includes(item),
      );
      if (added.length > 0) {
        errors.push(
          fieldError.forbidden(
            'metadata.finalizers',
            `no new finalizers can be added if the object is being deleted, found new finalizers ${JSON.stringify(added)}`,
          ),
        );
      }
    }
    if (errors.length > 0) throw invalid(definition.group, definition.kind, object.metadata.name ?? '', errors);
  }

  allocate(object: ApiObject, target: Target, current: ApiObject | undefined, _dryRun: boolean): void {
    if (storageKey(target.definition) === '/services' && target.subresource === '')
      this.#services.complete(object, current);
  }

  released(_object: ApiObject, _definition: ResourceDefinition): void {}

  /** Seconds until a pod is really removed; 0 for everything else, and for pods that no node runs. */
  gracePeriod(object: ApiObject, definition: ResourceDefinition, requested: number | undefined): number {
    if (storageKey(definition) !== '/pods') return 0;
    const spec = asObject(object.spec);
    const phase = asString(asObject(object.status).phase);
    if (asString(spec.nodeName) === '' || phase === 'Succeeded' || phase === 'Failed') return 0;
    const configured = spec.terminationGracePeriodSeconds;
    const grace = requested ?? (typeof configured === 'number' ? configured : 30);
    if (grace < 0)
      throw new ApiError(
        422,
        'Invalid',
        `gracePeriodSeconds: Invalid value: ${grace}: must be greater than or equal to 0`,
      );
    return grace;
  }
}

function mergeStringData(object: ApiObject): void {
  const plain = object.stringData;
  if (!isObject(plain)) return;
  const data = { ...asObject(object.data) };
  for (const [key, value] of Object.entries(plain)) data[key] = Buffer.from(String(value)).toString('base64');
  object.data = data;
  delete object.stringData;
}

/** Clients that replace a Service without naming its addresses keep them. */
function keepServiceAddresses(object: ApiObject, current: ApiObject): void {
  const spec = asObject(object.spec);
  const before = asObject(current.spec);
  if (spec.type === 'ExternalName' || before.type === 'ExternalName') return;
  if (asString(spec.clusterIP) === '') {
    if (before.clusterIP !== undefined) spec.clusterIP = before.clusterIP;
    if (before.clusterIPs !== undefined && asArray(spec.clusterIPs).length === 0) spec.clusterIPs = before.clusterIPs;
  }
}

/** Kubernetes documentation, "Pod Quality of Service Classes". */
function qualityOfService(spec: Record<string, unknown>): string {
  const containers = [...asArray(spec.containers), ...asArray(spec.initContainers)].map(asObject);
  let any = false;
  let all = containers.length > 0;
  for (const item of containers) {
    const resources = asObject(item.resources);
    const limits = asObject(resources.limits);
    const requests = asObject(resources.requests);
    if (Object.keys(limits).length > 0 || Object.keys(requests).length > 0) any = true;
    for (const key of ['cpu', 'memory']) {
      if (limits[key] === undefined || (requests[key] ?? limits[key]) !== limits[key]) all = false;
    }
  }
  if (!any) return 'BestEffort';
  return all ? 'Guaranteed' : 'Burstable';
}
