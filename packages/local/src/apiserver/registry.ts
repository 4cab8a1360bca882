import { BUILTIN_DEFINITIONS, type ResourceDefinition } from './definitions.ts';
import { builtinSchemaName, builtinSchemas, OBJECT_META, REF_PREFIX, type Schema } from './schema/schema.ts';

export interface Served {
  readonly definition: ResourceDefinition;
  readonly version: string;
}

const META_SCHEMA: Schema = { $ref: `${REF_PREFIX}${OBJECT_META}` };

/** Everything the server serves at this moment: the built-in resources and those of the CustomResourceDefinitions. */
export class ResourceRegistry {
  readonly #custom = new Map<string, ResourceDefinition>();
  readonly #schemas = new WeakMap<object, Schema>();
  #byPath = new Map<string, ResourceDefinition>();
  #all: readonly ResourceDefinition[] = [];
  /** Changes whenever the set of resources changes; part of discovery's ETags. */
  generation = 0;

  constructor() {
    this.#rebuild();
  }

  #rebuild(): void {
    this.generation += 1;
    this.#all = [...BUILTIN_DEFINITIONS, ...this.#custom.values()];
    this.#byPath = new Map();
    for (const definition of this.#all) {
      for (const version of definition.versions) {
        this.#byPath.set(`${definition.group}/${version}/${definition.resource}`, definition);
      }
    }
  }

  all(): readonly ResourceDefinition[] {
    return this.#all;
  }

  /** Adds or replaces the resource of a CustomResourceDefinition; `name` is the CRD's name. */
  setCustom(name: string, definition: ResourceDefinition): void {
    this.#custom.set(name, definition);
    this.#rebuild();
  }

  removeCustom(name: string): void {
    if (this.#custom.delete(name)) this.#rebuild();
  }

  custom(name: string): ResourceDefinition | undefined {
    return this.#custom.get(name);
  }

  find(group: string, version: string, resource: string): Served | undefined {
    const definition = this.#byPath.get(`${group}/${version}/${resource}`);
    return definition === undefined ? undefined : { definition, version };
  }

  byKind(group: string, kind: string): ResourceDefinition | undefined {
    return this.#all.find((definition) => definition.group === group && definition.kind === kind);
  }

  byResource(group: string, resource: string): ResourceDefinition | undefined {
    return this.#all.find((definition) => definition.group === group && definition.resource === resource);
  }

  hasGroupVersion(group: string, version: string): boolean {
    return this.#all.some((definition) => definition.group === group && definition.versions.includes(version));
  }

  /** Schema of whole objects in a version. For custom resources it includes apiVersion, kind and metadata. */
  schema(definition: ResourceDefinition, version: string): Schema | undefined {
    if (definition.custom === undefined) {
      const name = builtinSchemaName(definition.group, version, definition.kind);
      return name === undefined ? undefined : builtinSchemas()[name];
    }
    const custom = definition.custom.get(version);
    if (custom === undefined) return undefined;
    let schema = this.#schemas.get(custom);
    if (schema === undefined) {
      const base = custom.schema ?? { type: 'object', 'x-kubernetes-preserve-unknown-fields': true };
      schema = {
        ...base,
        properties: {
          ...base.properties,
          apiVersion: { type: 'string' },
          kind: { type: 'string' },
          metadata: META_SCHEMA,
        },
      };
      this.#schemas.set(custom, schema);
    }
    return schema;
  }
}
