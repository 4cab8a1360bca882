import { asDecoded, readJson, toText, writeJson } from './convert.ts';
import { DeliberateFailure, FunctionError, TemplateExecError, TemplateParseError } from './errors.ts';
import { type FunctionTable, fn } from './functions.ts';
import { DATA_FUNCTIONS } from './sprig-data.ts';
import { dateFunctions } from './sprig-dates.ts';
import { MISC_FUNCTIONS } from './sprig-misc.ts';
import { NUMBER_FUNCTIONS } from './sprig-numbers.ts';
import { RANDOM_FUNCTIONS } from './sprig-random.ts';
import { TEXT_FUNCTIONS } from './sprig-text.ts';
import type { TemplateOptions, TemplateSet } from './template.ts';
import { type GoValue, isList, isMap } from './value.ts';
import { readToml, writeToml } from './toml.ts';
import { readYaml } from './yaml-read.ts';
import { writeYaml } from './yaml-write.ts';

/** Finds objects of the cluster for the `lookup` function: apiVersion, kind, namespace, name ('' for a list). */
export type Lookup = (apiVersion: string, kind: string, namespace: string, name: string) => GoValue;

/** Sprig's functions as Helm offers them, that is without access to the environment; those of dates come with a clock. */
export const SPRIG_FUNCTIONS: FunctionTable = {
  ...TEXT_FUNCTIONS,
  ...DATA_FUNCTIONS,
  ...NUMBER_FUNCTIONS,
  ...MISC_FUNCTIONS,
  ...RANDOM_FUNCTIONS,
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

/** What a failure in templates that call each other began with. */
function deepest(error: TemplateExecError): unknown {
  let at: unknown = error;
  while (at instanceof TemplateExecError && at.cause !== undefined) at = at.cause;
  return at;
}

function toYaml(value: GoValue): string {
  return writeYaml(value).replace(/\n$/, '');
}

/** Helm's additions to Sprig for a set of templates: `include`, `tpl`, `required`, `fail`, `lookup`, YAML and JSON. */
export function helmFunctions(
  set: TemplateSet,
  lookup: Lookup = () => ({}),
  now: () => Date = () => new Date(),
): FunctionTable {
  return {
    ...SPRIG_FUNCTIONS,
    ...dateFunctions(now),
    include: fn(['string', 'any'], (name, data) => set.execute(name, data)),
    tpl: fn(['string', 'any'], (text, data) => {
      const child = set.child();
      try {
        child.parse('gotpl', text);
      } catch (error) {
        if (error instanceof TemplateParseError)
          throw new FunctionError(`cannot parse template ${JSON.stringify(text)}: ${error.message}`);
        throw error;
      }
      try {
        return child.execute('gotpl', data).replaceAll('<no value>', '');
      } catch (error) {
        if (error instanceof TemplateExecError && !(deepest(error) instanceof DeliberateFailure))
          throw new FunctionError(`error during tpl function execution for ${JSON.stringify(text)}: ${error.message}`);
        throw error;
      }
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
    toYamlPretty: fn(['any'], (value) => writeYaml(value, { indentLists: true }).replace(/\n$/, '')),
    toToml: fn(['any'], writeToml),
    mustToToml: fn(['any'], writeToml),
    fromToml: fn(['string'], (text) => decode(text, readToml, 'map')),
    fromYaml: fn(['string'], (text) => decode(text, readYaml, 'map')),
    fromYamlArray: fn(['string'], (text) => decode(text, readYaml, 'list')),
    toJson: fn(['any'], (value) => writeJson(value)),
    mustToYaml: fn(['any'], toYaml),
    fromJson: fn(['string'], (text) => decode(text, readJson, 'map')),
    fromJsonArray: fn(['string'], (text) => decode(text, readJson, 'list')),
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
  options: { readonly lookup?: Lookup; readonly functions?: FunctionTable; readonly now?: () => Date } = {},
): TemplateOptions {
  return {
    missingKey: 'zero',
    functions: (set) => ({ ...helmFunctions(set, options.lookup, options.now), ...options.functions }),
  };
}
