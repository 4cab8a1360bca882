import type { ObjectStore } from '../../store/object-store.ts';
import { type ResourceDefinition, storageKey } from '../definitions.ts';
import { asObject, asObjects, equal, type JsonObject } from '../json.ts';
import type { CustomRules } from '../kinds/rules.ts';
import { type ApiObject, timestamp } from '../object.ts';
import { internalContext, NO_DELETE_OPTIONS, type Target } from '../operations/context.ts';
import type { Operations } from '../operations/operations.ts';
import type { ResourceRegistry } from '../registry.ts';
import { ApiError, type FieldError } from '../status.ts';
import { definitionOf } from './definition.ts';
import { definitionErrors } from './definition-errors.ts';
import { applySchemaDefaults } from './schema-defaults.ts';
import { schemaErrors } from './schema-errors.ts';
import { ruleErrors } from './rule-errors.ts';

const KEY = 'apiextensions.k8s.io/customresourcedefinitions';
const CLEANUP = 'customresourcecleanup.apiextensions.k8s.io';

/** Serves what the CustomResourceDefinitions in the store define, and removes the objects of deleted ones. */
export class CustomResources implements CustomRules {
  readonly #store: ObjectStore;
  readonly #registry: ResourceRegistry;
  readonly #now: () => number;
  #operations: Operations | undefined;
  #log: (line: string) => void = () => {};
  #stopListening: () => void = () => {};

  constructor(store: ObjectStore, registry: ResourceRegistry, now: () => number) {
    this.#store = store;
    this.#registry = registry;
    this.#now = now;
  }

  start(operations: Operations, log: (line: string) => void): void {
    this.#operations = operations;
    this.#log = log;
    for (const crd of this.#store.list(KEY)) this.#changed(crd);
    this.#stopListening = this.#store.listenAll((key, event) => {
      if (key === KEY) {
        if (event.type === 'DELETED') this.#registry.removeCustom(event.object.metadata.name);
        else this.#changed(event.object, event.previous);
      } else if (event.type === 'DELETED') this.#instanceGone(key);
    });
  }

  stop(): void {
    this.#stopListening();
  }

  #changed(crd: ApiObject, previous?: ApiObject): void {
    const { name } = crd.metadata;
    if (previous === undefined || !equal(previous.spec, crd.spec)) this.#registry.setCustom(name, definitionOf(crd));
    if (crd.metadata.deletionTimestamp !== undefined) {
      setImmediate(() => void this.#removeInstances(crd));
      return;
    }
    const wanted = this.#status(crd);
    if (!equal(crd.status, wanted)) setImmediate(() => void this.#writeStatus(name));
  }

  #status(crd: ApiObject): JsonObject {
    const spec = asObject(crd.spec);
    const known = asObjects(asObject(crd.status).conditions);
    const since = (type: string) =>
      known.find((condition) => condition.type === type && condition.status === 'True')?.lastTransitionTime ??
      timestamp(this.#now());
    const storage = asObjects(spec.versions).find((version) => version.storage === true)?.name;
    return {
      conditions: [
        {
          type: 'NamesAccepted',
          status: 'True',
          reason: 'NoConflicts',
          message: 'no conflicts found',
          lastTransitionTime: since('NamesAccepted'),
        },
        {
          type: 'Established',
          status: 'True',
          reason: 'InitialNamesAccepted',
          message: 'the initial names have been accepted',
          lastTransitionTime: since('Established'),
        },
      ],
      acceptedNames: spec.names,
      storedVersions: [...new Set([...((asObject(crd.status).storedVersions as string[] | undefined) ?? []), storage])],
    };
  }

  async #writeStatus(name: string): Promise<void> {
    await this.#attempt(`status of CustomResourceDefinition ${name}`, async (operations) => {
      await operations.update(
        this.#target(name, 'status'),
        (current) => ({ ...current, status: this.#status(current) }),
        internalContext('kube-apiserver'),
      );
    });
  }

  #target(name: string, subresource = ''): Target {
    const definition = this.#registry.byResource('apiextensions.k8s.io', 'customresourcedefinitions');
    if (definition === undefined) throw new Error('CustomResourceDefinitions are not served');
    return { definition, version: 'v1', namespace: '', name, subresource };
  }

  async #attempt(what: string, action: (operations: Operations) => Promise<void>): Promise<void> {
    if (this.#operations === undefined) return;
    try {
      await action(this.#operations);
    } catch (error) {
      if (!(error instanceof ApiError && error.code === 404))
        this.#log(`${what}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }

  async #removeInstances(crd: ApiObject): Promise<void> {
    const { name } = crd.metadata;
    if (!(crd.metadata.finalizers ?? []).includes(CLEANUP)) return;
    const definition = definitionOf(crd);
    await this.#attempt(`deletion of CustomResourceDefinition ${name}`, async (operations) => {
      for (const object of this.#store.list(storageKey(definition))) {
        const target: Target = {
          definition,
          version: definition.storageVersion,
          namespace: object.metadata.namespace ?? '',
          name: object.metadata.name,
          subresource: '',
        };
        if (object.metadata.deletionTimestamp === undefined)
          await operations.delete(target, NO_DELETE_OPTIONS, internalContext('kube-apiserver'));
      }
      if (this.#store.count(storageKey(definition)) > 0) return;
      await operations.update(
        this.#target(name),
        (current) => ({
          ...current,
          metadata: {
            ...current.metadata,
            finalizers: (current.metadata.finalizers ?? []).filter((item) => item !== CLEANUP),
          },
        }),
        internalContext('kube-apiserver'),
      );
    });
  }

  #instanceGone(key: string): void {
    if (this.#store.count(key) > 0) return;
    for (const crd of this.#store.list(KEY)) {
      if (crd.metadata.deletionTimestamp !== undefined && storageKey(definitionOf(crd)) === key)
        setImmediate(() => void this.#removeInstances(crd));
    }
  }

  applyDefaults(object: ApiObject, target: Target): void {
    const schema = target.definition.custom?.get(target.version)?.schema;
    if (schema !== undefined) applySchemaDefaults(object, schema);
  }

  validate(object: ApiObject, target: Target, old: ApiObject | undefined): readonly FieldError[] {
    const schema = target.definition.custom?.get(target.version)?.schema;
    if (schema === undefined) return [];
    const errors = schemaErrors(object, schema);
    // Rules may rely on what the schema guarantees, so they only run on objects of the right structure.
    return errors.length > 0 ? errors : ruleErrors(object, old, schema);
  }

  validateDefinition(object: ApiObject, old: ApiObject | undefined): readonly FieldError[] {
    return definitionErrors(object, old, (group, plural) => this.#otherDefinition(group, plural, object.metadata.name));
  }

  #otherDefinition(group: string, plural: string, name: string): ResourceDefinition | undefined {
    const found = this.#registry.byResource(group, plural);
    return found !== undefined && found !== this.#registry.custom(name) ? found : undefined;
  }
}
