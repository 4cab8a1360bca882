import { ALL_VERBS, type CustomVersion, type ResourceDefinition } from '../definitions.ts';
import { compareVersions } from '../discovery/discovery.ts';
import { asArray, asObject, asObjects, asString, isObject } from '../json.ts';
import type { ApiObject } from '../object.ts';
import type { PrinterColumn, ScalePaths } from '../definitions.ts';
import type { Schema } from '../schema/schema.ts';

/** The resource that a CustomResourceDefinition describes. */
export function definitionOf(crd: ApiObject): ResourceDefinition {
  const spec = asObject(crd.spec);
  const names = asObject(spec.names);
  const versions = asObjects(spec.versions).filter((version) => version.served === true);
  const custom = new Map<string, CustomVersion>();
  for (const version of versions) {
    const subresources = asObject(version.subresources);
    const scale = subresources.scale;
    const schema = asObject(version.schema).openAPIV3Schema;
    const name = asString(version.name);
    custom.set(name, {
      name,
      schema: isObject(schema) ? (schema as Schema) : undefined,
      columns: asObjects(version.additionalPrinterColumns) as unknown as PrinterColumn[],
      status: subresources.status !== undefined,
      scale: isObject(scale) ? (scale as unknown as ScalePaths) : undefined,
      deprecationWarning:
        version.deprecated === true
          ? asString(version.deprecationWarning) ||
            `${asString(spec.group)}/${name} ${asString(names.kind)} is deprecated`
          : undefined,
    });
  }
  const storage = asObjects(spec.versions).find((version) => version.storage === true);
  const strings = (value: unknown) => asArray(value).map(String);
  return {
    group: asString(spec.group),
    versions: [...custom.keys()].sort(compareVersions),
    storageVersion: asString(storage?.name),
    resource: asString(names.plural),
    singular: asString(names.singular),
    kind: asString(names.kind),
    listKind: asString(names.listKind) || `${asString(names.kind)}List`,
    namespaced: spec.scope !== 'Cluster',
    shortNames: strings(names.shortNames),
    categories: strings(names.categories),
    subresources: [],
    verbs: ALL_VERBS,
    virtual: false,
    custom,
  };
}
