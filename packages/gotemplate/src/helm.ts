import { asDecoded, toText, writeJson } from './convert.ts';
import { DeliberateFailure, FunctionError } from './errors.ts';
import { type FunctionTable, fn } from './functions.ts';
import { DATA_FUNCTIONS } from './sprig-data.ts';
import { MISC_FUNCTIONS } from './sprig-misc.ts';
import { NUMBER_FUNCTIONS } from './sprig-numbers.ts';
import { TEXT_FUNCTIONS } from './sprig-text.ts';
import type { TemplateOptions, TemplateSet } from './template.ts';
import { type GoValue, isList, isMap } from './value.ts';
import { readYaml } from './yaml-read.ts';
import { writeYaml } from './yaml-write.ts';

/** Finds objects of the cluster for the `lookup` function: apiVersion, kind, namespace, name ('' for a list). */
export type Lookup = (apiVersion: string, kind: string, namespace: string, name: string) => GoValue;

/** Sprig's functions as Helm offers them: without access to the environment, without randomness and clocks. */
export const SPRIG_FUNCTIONS: FunctionTable = {
  ...TEXT_FUNCTIONS,
  ...DATA_FUNCTIONS,
  ...NUMBER_FUNCTIONS,
  ...MISC_FUNCTIONS,
};

/** Decodes for a template: errors become a map with the key `Error` (or a list of one text), as Helm does. */
function decode(text: string, read: (text: string) => unknown, kind: 'map' | 'list'): GoValue {
  try {
    const value = asDecoded(read(text));
    if (kind === 'map') {
      if (value === null) return {};
      if (isMap(value)) return value;
      throw new FunctionError('json: cannot unmarshal into Go value of type map[string]interface {}');
    }
    if (value === null) return [];
    if (isList(value)) return value;
    throw new FunctionError('json: cannot unmarshal into Go value of type []interface {}');
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return kind === 'map' ? { Error: message } : [message];
  }
}

function toYaml(value: GoValue): string {
  return writeYaml(value).replace(/\n$/, '');
}

/** Helm's additions to Sprig for a set of templates: `include`, `tpl`, `required`, `fail`, `lookup`, YAML and JSON. */
export function helmFunctions(set: TemplateSet, lookup: Lookup = () => ({})): FunctionTable {
  return {
    ...SPRIG_FUNCTIONS,
    include: fn(['string', 'any'], (name, data) => set.execute(name, data)),
    tpl: fn(['string', 'any'], (text, data) => {
      const child = set.child();
      child.parse('gotpl', text);
      return child.execute('gotpl', data).replaceAll('<no value>', '');
    }),
    required: fn(['string', 'any'], (message, value) => {
      if (value === null || value === undefined || value === '') throw new DeliberateFailure(message);
      return value;
    }),
    fail: fn(['string'], (message) => {
      throw new DeliberateFailure(message);
    }),
    lookup: fn(
      ['string', 'string', 'string', 'string'],
      (apiVersion, kind, namespace, name) => lookup(apiVersion, kind, namespace, name) ?? {},
    ),
    toYaml: fn(['any'], toYaml),
    toYamlPretty: fn(['any'], toYaml),
    fromYaml: fn(['string'], (text) => decode(text, readYaml, 'map')),
    fromYamlArray: fn(['string'], (text) => decode(text, readYaml, 'list')),
    toJson: fn(['any'], (value) => writeJson(value)),
    mustToYaml: fn(['any'], toYaml),
    fromJson: fn(['string'], (text) => decode(text, JSON.parse, 'map')),
    fromJsonArray: fn(['string'], (text) => decode(text, JSON.parse, 'list')),
    mustFromYaml: fn(['string'], (text) => {
      const value = decode(text, readYaml, 'map');
      if (isMap(value) && typeof value.Error === 'string' && Object.keys(value).length === 1)
        throw new FunctionError(toText(value.Error));
      return value;
    }),
  };
}

/** Options of a `TemplateSet` that behaves as Helm's engine does. */
export function helmOptions(
  options: { readonly lookup?: Lookup; readonly functions?: FunctionTable } = {},
): TemplateOptions {
  return { missingKey: 'zero', functions: (set) => ({ ...helmFunctions(set, options.lookup), ...options.functions }) };
}
