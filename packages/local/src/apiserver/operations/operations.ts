import { randomBytes, randomUUID } from 'node:crypto';
import { type ObjectStore, StoreConflict } from '../../store/object-store.ts';
import type { User } from '../auth/user.ts';
import { convert, toStorage } from '../conversion.ts';
import { type ResourceDefinition, storageKey } from '../definitions.ts';
import { subresourcesOf } from '../discovery/discovery.ts';
import { ownershipAfterUpdate } from '../fields/managed-fields.ts';
import { asObject, clone, equal, type JsonObject } from '../json.ts';
import { type KindRules, unknownFields } from '../kinds/rules.ts';
import { type ApiObject, apiVersionOf, timestamp } from '../object.ts';
import type { ResourceRegistry } from '../registry.ts';
import { alreadyExists, badRequest, conflict, MODIFIED_MESSAGE, notFound } from '../status.ts';
import type { Admission } from './admission.ts';
import type { DeleteOptions, RequestContext, Target } from './context.ts';

const RETRIES = 8;

/** A change to an existing object: gets a copy in the version of the request, returns the wanted state. */
export type Change = (current: ApiObject) => ApiObject | Promise<ApiObject>;

export interface OperationsOptions {
  readonly store: ObjectStore;
  readonly registry: ResourceRegistry;
  readonly rules: KindRules;
  readonly admission: Admission;
  /** Throws 403 when a user may not write this state in place of the current one. */
  readonly guard: (user: User, target: Target, object: ApiObject, current: ApiObject | undefined) => void;
  readonly now: () => number;
}

/** Kinds whose `metadata.generation` counts changes of everything but metadata and status. */
const GENERATION_GROUPS = new Set([
  'apps',
  'batch',
  'networking.k8s.io',
  'policy',
  'admissionregistration.k8s.io',
  'apiextensions.k8s.io',
]);

function countsGeneration(definition: ResourceDefinition): boolean {
  return definition.custom !== undefined || GENERATION_GROUPS.has(definition.group) || definition.kind === 'Pod';
}

/** Creates, reads, changes and deletes objects with everything that goes with it: defaults, admission, validation, ownership. */
export class Operations {
  readonly store: ObjectStore;
  readonly registry: ResourceRegistry;
  readonly #rules: KindRules;
  readonly #admission: Admission;
  readonly #guard: OperationsOptions['guard'];
  readonly now: () => number;

  constructor(options: OperationsOptions) {
    this.store = options.store;
    this.registry = options.registry;
    this.#rules = options.rules;
    this.#admission = options.admission;
    this.#guard = options.guard;
    this.now = options.now;
  }

  /** The stored object in the version of the request. Throws 404. */
  get(target: Target): ApiObject {
    return convert(this.stored(target), target.definition, target.version);
  }

  /** The stored object itself, which must not be changed. Throws 404. */
  stored(target: Target): ApiObject {
    const found = this.store.get(storageKey(target.definition), target.namespace, target.name);
    if (found === undefined) throw notFound(target.definition, target.name);
    return found;
  }

  #checkFields(object: ApiObject, target: Target, context: RequestContext): ApiObject {
    const { definition, version } = target;
    const schema = this.registry.schema(definition, version);
    if (schema === undefined) return object;
    const findings = unknownFields(object, schema, definition.custom !== undefined);
    if (findings.unknown.length > 0 && context.fieldValidation !== 'Ignore') {
      if (context.fieldValidation === 'Strict') {
        const list = findings.unknown.map((path) => `unknown field "${path}"`).join(', ');
        throw badRequest(
          `${definition.kind} in version ${JSON.stringify(version)} cannot be handled as a ${definition.kind}: strict decoding error: ${list}`,
        );
      }
      for (const path of findings.unknown) context.warnings.push(`unknown field "${path}"`);
    }
    return findings.pruned as ApiObject;
  }

  #options(kind: string, context: RequestContext): JsonObject {
    return {
      kind,
      apiVersion: 'meta.k8s.io/v1',
      ...(context.dryRun ? { dryRun: ['All'] } : {}),
      ...(kind === 'DeleteOptions' ? {} : { fieldManager: context.fieldManager }),
    };
  }

  /** Creates an object. `owned`: managedFields are already right (server-side apply). */
  async create(target: Target, body: ApiObject, context: RequestContext, owned = false): Promise<ApiObject> {
    const { definition, version } = target;
    let object = this.#checkFields(clone(body), target, context);
    const meta = object.metadata;
    if (meta.resourceVersion !== undefined && meta.resourceVersion !== '') {
      throw badRequest('resourceVersion should not be set on objects to be created');
    }
    if (
      (meta.name === undefined || meta.name === '') &&
      typeof meta.generateName === 'string' &&
      meta.generateName !== ''
    ) {
      meta.name = generatedName(meta.generateName);
    }
    meta.uid = randomUUID();
    meta.creationTimestamp = timestamp(this.now());
    delete meta.deletionTimestamp;
    delete meta.deletionGracePeriodSeconds;
    delete meta.selfLink;
    delete meta.generation;
    if (countsGeneration(definition)) meta.generation = 1;
    if (subresourcesOf(definition, version).includes('status') && this.#rules.dropsStatusOnCreate(definition))
      delete object.status;
    this.#rules.applyDefaults(object, target, undefined);
    this.#rules.prepareCreate(object, target, context);
    const named: Target = { ...target, name: meta.name ?? '' };
    const request = {
      operation: 'CREATE',
      target: named,
      oldObject: undefined,
      options: this.#options('CreateOptions', context),
      context,
    } as const;
    const mutated = await this.#admission.mutate({ ...request, object });
    if (mutated !== undefined && mutated !== object) {
      object = mutated;
      this.#rules.applyDefaults(object, target, undefined);
    }
    this.#rules.validate(object, target, undefined);
    this.#guard(context.user, target, object, undefined);
    await this.#admission.validate({ ...request, object });
    const key = storageKey(definition);
    const name = object.metadata.name;
    const namespace = object.metadata.namespace ?? '';
    if (this.store.get(key, namespace, name) !== undefined) throw alreadyExists(definition, name);
    if (!owned) this.#own(undefined, object, target, context);
    this.#rules.allocate(object, target, undefined, context.dryRun);
    if (context.dryRun) return object;
    try {
      return convert(this.store.put(key, toStorage(object, definition), undefined), definition, version);
    } catch (error) {
      if (error instanceof StoreConflict) throw alreadyExists(definition, name);
      throw error;
    }
  }

  #own(before: ApiObject | undefined, after: ApiObject, target: Target, context: RequestContext): void {
    const { definition, version, subresource } = target;
    const managed = ownershipAfterUpdate(before, after, this.registry.schema(definition, version), {
      manager: context.fieldManager,
      apiVersion: apiVersionOf(definition.group, version),
      subresource,
      time: timestamp(this.now()),
    });
    if (managed.length > 0) after.metadata.managedFields = managed;
    else delete after.metadata.managedFields;
  }

  /**
   * Changes an object. `change` gets the current state and is called again when somebody else was faster, unless its result names
   * a resourceVersion, which then must be the current one (409 otherwise).
   */
  async update(target: Target, change: Change, context: RequestContext, owned = false): Promise<ApiObject> {
    for (let attempt = 0; ; attempt += 1) {
      const stored = this.stored(target);
      const current = convert(stored, target.definition, target.version);
      const wanted = await change(clone(current));
      const given = wanted.metadata.resourceVersion;
      if (given !== undefined && given !== '' && given !== '0' && given !== stored.metadata.resourceVersion) {
        throw conflict(target.definition, target.name, MODIFIED_MESSAGE);
      }
      try {
        return await this.#updateOnce(target, stored, current, wanted, context, owned);
      } catch (error) {
        if (!(error instanceof StoreConflict)) throw error;
        if (attempt >= RETRIES) throw conflict(target.definition, target.name, MODIFIED_MESSAGE);
      }
    }
  }

  async #updateOnce(
    target: Target,
    stored: ApiObject,
    current: ApiObject,
    wanted: ApiObject,
    context: RequestContext,
    owned: boolean,
  ): Promise<ApiObject> {
    const { definition, version } = target;
    const given = wanted.metadata.uid;
    if (given !== undefined && given !== '' && given !== current.metadata.uid) {
      throw conflict(
        definition,
        target.name,
        `Precondition failed: UID in precondition: ${given}, UID in object meta: ${current.metadata.uid}`,
      );
    }
    let object = this.#checkFields(wanted, target, context);
    object = this.#rules.merge(object, current, target);
    this.#keepSystemFields(object, current);
    this.#rules.applyDefaults(object, target, current);
    this.#rules.prepareUpdate(object, current, target, context);
    const request = {
      operation: 'UPDATE',
      target,
      oldObject: current,
      options: this.#options('UpdateOptions', context),
      context,
    } as const;
    const mutated = await this.#admission.mutate({ ...request, object });
    if (mutated !== undefined && mutated !== object) {
      object = mutated;
      this.#keepSystemFields(object, current);
      this.#rules.applyDefaults(object, target, current);
    }
    this.#bumpGeneration(object, current, target);
    this.#rules.validate(object, target, current);
    this.#guard(context.user, target, object, current);
    await this.#admission.validate({ ...request, object });
    if (!owned) this.#own(current, object, target, context);
    this.#rules.allocate(object, target, current, context.dryRun);
    if (equal(withoutTimes(object), withoutTimes(current))) return current;
    if (context.dryRun)
      return { ...object, metadata: { ...object.metadata, resourceVersion: current.metadata.resourceVersion } };
    const key = storageKey(definition);
    if (this.store.get(key, target.namespace, target.name) !== stored) throw new StoreConflict();
    if (this.#isGone(object, definition)) {
      this.#rules.released(stored, definition);
      return convert(this.store.remove(key, stored), definition, version);
    }
    return convert(this.store.put(key, toStorage(object, definition), stored), definition, version);
  }

  /** Whether nothing holds back an object that is being deleted any more. */
  #isGone(object: ApiObject, definition: ResourceDefinition): boolean {
    if (object.metadata.deletionTimestamp === undefined) return false;
    if ((object.metadata.finalizers ?? []).length > 0) return false;
    if (definition.kind === 'Namespace' && definition.group === '') {
      const finalizers = asObject(object.spec).finalizers;
      return !Array.isArray(finalizers) || finalizers.length === 0;
    }
    return (object.metadata.deletionGracePeriodSeconds ?? 0) === 0;
  }

  #keepSystemFields(object: ApiObject, current: ApiObject): void {
    const meta = object.metadata;
    const old = current.metadata;
    meta.uid = old.uid;
    meta.creationTimestamp = old.creationTimestamp;
    meta.resourceVersion = old.resourceVersion;
    if (old.namespace !== undefined) meta.namespace = old.namespace;
    if (old.generateName !== undefined) meta.generateName = old.generateName;
    for (const field of ['deletionTimestamp', 'deletionGracePeriodSeconds', 'generation'] as const) {
      delete meta[field];
      const value = old[field];
      if (value !== undefined) (meta as JsonObject)[field] = value;
    }
    delete meta.selfLink;
  }

  #bumpGeneration(object: ApiObject, current: ApiObject, target: Target): void {
    if (!countsGeneration(target.definition)) return;
    const content = (value: ApiObject) => {
      const { metadata: _m, status: _s, ...rest } = value;
      return rest;
    };
    const before = current.metadata.generation ?? 1;
    object.metadata.generation = equal(content(object), content(current)) ? before : before + 1;
  }

  /**
   * Deletes an object, or marks it as being deleted while finalizers or a grace period hold it. Returns the object with
   * `removed` telling which of the two happened.
   */
  async delete(
    target: Target,
    options: DeleteOptions,
    context: RequestContext,
  ): Promise<{ readonly object: ApiObject; readonly removed: boolean }> {
    const { definition, version } = target;
    const key = storageKey(definition);
    for (let attempt = 0; ; attempt += 1) {
      const stored = this.stored(target);
      this.#checkPreconditions(target, stored, options);
      const current = convert(stored, definition, version);
      await this.#admission.validate({
        operation: 'DELETE',
        target,
        object: undefined,
        oldObject: current,
        options: this.#options('DeleteOptions', context),
        context,
      });
      const grace = this.#rules.gracePeriod(stored, definition, options.gracePeriodSeconds);
      const finalizers = finalizersFor(stored, options);
      const next = clone(stored);
      const namespaced = definition.kind === 'Namespace' && definition.group === '';
      if (finalizers.length > 0) next.metadata.finalizers = finalizers;
      else delete next.metadata.finalizers;
      const before = stored.metadata.deletionTimestamp;
      const shorter = before === undefined || grace < (stored.metadata.deletionGracePeriodSeconds ?? 0);
      if (shorter) {
        next.metadata.deletionTimestamp = timestamp(this.now() + grace * 1000);
        next.metadata.deletionGracePeriodSeconds = grace;
        if (before === undefined && next.metadata.generation !== undefined) next.metadata.generation += 1;
      }
      if (namespaced) next.status = { ...asObject(next.status), phase: 'Terminating' };
      const gone = this.#isGone(next, definition);
      if (context.dryRun) return { object: convert(next, definition, version), removed: gone };
      try {
        if (this.store.get(key, target.namespace, target.name) !== stored) throw new StoreConflict();
        if (gone) {
          this.#rules.released(stored, definition);
          return { object: convert(this.store.remove(key, stored), definition, version), removed: true };
        }
        const same = equal(next, stored);
        const object = same ? stored : this.store.put(key, next, stored);
        return { object: convert(object, definition, version), removed: false };
      } catch (error) {
        if (!(error instanceof StoreConflict) || attempt >= RETRIES) throw error;
      }
    }
  }

  #checkPreconditions(target: Target, stored: ApiObject, options: DeleteOptions): void {
    const { uid, resourceVersion } = options;
    if (uid !== undefined && uid !== stored.metadata.uid) {
      throw conflict(
        target.definition,
        target.name,
        `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${stored.metadata.uid}`,
      );
    }
    if (resourceVersion !== undefined && resourceVersion !== stored.metadata.resourceVersion) {
      throw conflict(
        target.definition,
        target.name,
        `Precondition failed: ResourceVersion in precondition: ${resourceVersion}, ResourceVersion in object meta: ${stored.metadata.resourceVersion}`,
      );
    }
  }
}

function finalizersFor(stored: ApiObject, options: DeleteOptions): string[] {
  const existing = stored.metadata.finalizers ?? [];
  const others = existing.filter((finalizer) => finalizer !== 'foregroundDeletion' && finalizer !== 'orphan');
  switch (options.propagation) {
    case 'Foreground':
      return [...others, 'foregroundDeletion'];
    case 'Orphan':
      return [...others, 'orphan'];
    case 'Background':
      return others;
    case undefined:
      return existing;
  }
}

/** Five characters from the alphabet that Kubernetes uses for generated names (no vowels, nothing ambiguous). */
export function generatedName(prefix: string): string {
  const alphabet = 'bcdfghjklmnpqrstvwxz2456789';
  const suffix = [...randomBytes(5)].map((byte) => alphabet[byte % alphabet.length]).join('');
  return `${prefix.slice(0, 58)}${suffix}`;
}

/** For the question whether an update changes anything: the times of managedFields do not count. */
function withoutTimes(object: ApiObject): JsonObject {
  const { managedFields, ...metadata } = object.metadata;
  return {
    ...object,
    metadata: { ...metadata, managedFields: (managedFields ?? []).map((entry) => ({ ...entry, time: undefined })) },
  };
}
