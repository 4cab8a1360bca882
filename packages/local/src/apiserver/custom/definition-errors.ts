import type { ResourceDefinition } from '../definitions.ts';
import { asObject, asObjects, asString, isObject } from '../json.ts';
import type { ApiObject } from '../object.ts';
import { type FieldError, fieldError } from '../status.ts';

/** Findings in a CustomResourceDefinition. `other` finds a resource of the same name that something else serves. */
export function definitionErrors(
  crd: ApiObject,
  old: ApiObject | undefined,
  other: (group: string, plural: string) => ResourceDefinition | undefined,
): FieldError[] {
  const errors: FieldError[] = [];
  const spec = asObject(crd.spec);
  const names = asObject(spec.names);
  const group = asString(spec.group);
  const plural = asString(names.plural);
  if (group === '') errors.push(fieldError.required('spec.group'));
  else if (!group.includes('.'))
    errors.push(fieldError.invalid('spec.group', group, 'should be a domain with at least one dot'));
  if (plural === '') errors.push(fieldError.required('spec.names.plural'));
  if (asString(names.kind) === '') errors.push(fieldError.required('spec.names.kind'));
  if (crd.metadata.name !== `${plural}.${group}`) {
    errors.push(fieldError.invalid('metadata.name', crd.metadata.name, 'must be spec.names.plural+"."+spec.group'));
  }
  if (spec.scope !== 'Cluster' && spec.scope !== 'Namespaced') {
    errors.push(fieldError.notSupported('spec.scope', spec.scope ?? '', ['Cluster', 'Namespaced']));
  }
  const versions = asObjects(spec.versions);
  if (versions.length === 0) errors.push(fieldError.required('spec.versions'));
  const storage = versions.filter((version) => version.storage === true);
  if (storage.length !== 1)
    errors.push(
      fieldError.invalid('spec.versions', versions.length, 'must have exactly one version marked as storage version'),
    );
  versions.forEach((version, index) => {
    const path = `spec.versions[${index}]`;
    if (asString(version.name) === '') errors.push(fieldError.required(`${path}.name`));
    const schema = asObject(version.schema).openAPIV3Schema;
    if (!isObject(schema)) errors.push(fieldError.required(`${path}.schema.openAPIV3Schema`, 'schemas are required'));
    else {
      if (schema.type !== 'object')
        errors.push(
          fieldError.invalid(`${path}.schema.openAPIV3Schema.type`, schema.type ?? '', 'must be object at the root'),
        );
      structural(schema, `${path}.schema.openAPIV3Schema`, errors, true);
    }
  });
  if (asString(asObject(spec.conversion).strategy) === 'Webhook') {
    errors.push(fieldError.notSupported('spec.conversion.strategy', 'Webhook', ['None']));
  }
  if (old === undefined && group !== '' && plural !== '' && other(group, plural) !== undefined) {
    errors.push(fieldError.invalid('spec.names.plural', plural, `${plural}.${group} is served already`));
  }
  const before = asObject(old?.spec);
  if (old !== undefined) {
    for (const field of ['group', 'scope']) {
      if (before[field] !== spec[field])
        errors.push(fieldError.invalid(`spec.${field}`, spec[field], 'field is immutable'));
    }
    for (const field of ['plural', 'kind']) {
      if (asObject(before.names)[field] !== names[field])
        errors.push(fieldError.invalid(`spec.names.${field}`, names[field], 'field is immutable'));
    }
  }
  return errors;
}

const MAX_FINDINGS = 20;

/** The rule of structural schemas that people trip over: every field has a type. */
function structural(schema: Record<string, unknown>, path: string, errors: FieldError[], root: boolean): void {
  if (errors.length >= MAX_FINDINGS) return;
  const free = schema['x-kubernetes-int-or-string'] === true || schema['x-kubernetes-preserve-unknown-fields'] === true;
  if (!root && asString(schema.type) === '' && !free)
    errors.push(fieldError.required(`${path}.type`, 'must not be empty for specified object fields'));
  for (const [name, property] of Object.entries(asObject(schema.properties))) {
    if (isObject(property)) structural(property, `${path}.properties[${name}]`, errors, false);
  }
  if (isObject(schema.items)) structural(schema.items, `${path}.items`, errors, false);
  else if (schema.type === 'array') errors.push(fieldError.required(`${path}.items`, 'must be specified'));
  if (isObject(schema.additionalProperties))
    structural(schema.additionalProperties, `${path}.additionalProperties`, errors, false);
}
