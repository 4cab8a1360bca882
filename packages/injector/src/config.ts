import { readYaml } from '@istio-ts/gotemplate';
import { InjectionError } from './errors.ts';
import { isObject, type JsonObject, textMap } from './json.ts';
import { parseSelector, type Selector } from './selector.ts';

/** The ConfigMap `istio-sidecar-injector`, decoded: who is injected, with which templates, and the values that the templates read. */
export interface InjectionConfig {
  /** `enabled`: inject unless told otherwise; `disabled`: only when told so. */
  readonly policy: 'enabled' | 'disabled';
  readonly defaultTemplates: readonly string[];
  readonly templates: Readonly<Record<string, string>>;
  /** Names that stand for several templates. */
  readonly aliases: Readonly<Record<string, readonly string[]>>;
  readonly alwaysInjectSelector: readonly Selector[];
  readonly neverInjectSelector: readonly Selector[];
  readonly injectedAnnotations: Readonly<Record<string, string>>;
  readonly values: JsonObject;
}

const SOURCE = 'ConfigMap istio-sidecar-injector';
/** More templates than this for one pod are refused. */
export const MAX_TEMPLATES = 16;

function texts(value: unknown, field: string): readonly string[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value) || value.some((item) => typeof item !== 'string'))
    throw new InjectionError(SOURCE, field, 'must be a list of names');
  return value as readonly string[];
}

/** Decodes the keys `config` (YAML) and `values` (JSON or YAML) of the ConfigMap. Throws `InjectionError`. */
export function parseInjectionConfig(configText: string, valuesText: string): InjectionConfig {
  const read = (text: string, key: string): JsonObject => {
    try {
      const value = readYaml(text) ?? {};
      if (isObject(value)) return value;
    } catch (error) {
      throw new InjectionError(
        SOURCE,
        key,
        `cannot be read: ${error instanceof Error ? error.message : String(error)}`,
        error,
      );
    }
    throw new InjectionError(SOURCE, key, 'must be a mapping');
  };
  const config = read(configText, 'config');
  const policy = config.policy ?? 'enabled';
  if (policy !== 'enabled' && policy !== 'disabled')
    throw new InjectionError(SOURCE, 'config.policy', `must be enabled or disabled, not ${JSON.stringify(policy)}`);
  const templates = isObject(config.templates)
    ? textMap(config.templates)
    : typeof config.template === 'string'
      ? { sidecar: config.template }
      : {};
  if (Object.keys(templates).length === 0)
    throw new InjectionError(SOURCE, 'config.templates', 'must be a mapping with at least one template by its name');
  const selectors = (key: string): readonly Selector[] => {
    const value = config[key] ?? [];
    if (!Array.isArray(value)) throw new InjectionError(SOURCE, `config.${key}`, 'must be a list of label selectors');
    return value.map((item, i) => parseSelector(item, SOURCE, `config.${key}[${i}]`));
  };
  const aliases = isObject(config.aliases) ? config.aliases : {};
  return {
    policy,
    defaultTemplates:
      config.defaultTemplates === undefined ? ['sidecar'] : texts(config.defaultTemplates, 'config.defaultTemplates'),
    templates,
    aliases: Object.fromEntries(
      Object.entries(aliases).map(([name, value]) => [name, texts(value, `config.aliases.${name}`)]),
    ),
    alwaysInjectSelector: selectors('alwaysInjectSelector'),
    neverInjectSelector: selectors('neverInjectSelector'),
    injectedAnnotations: textMap(config.injectedAnnotations),
    values: read(valuesText, 'values'),
  };
}

/** The templates for a pod: those of its annotation, else the default ones; aliases resolved. Throws `InjectionError` for an unknown name. */
export function selectTemplates(
  config: InjectionConfig,
  annotation: string | undefined,
  pod: string,
): readonly string[] {
  const asked =
    annotation === undefined || annotation.trim() === ''
      ? config.defaultTemplates
      : annotation.split(',').map((name) => name.trim());
  const names = asked.flatMap((name) => (Object.hasOwn(config.aliases, name) ? (config.aliases[name] ?? []) : [name]));
  if (names.length > MAX_TEMPLATES)
    throw new InjectionError(pod, 'annotation inject.istio.io/templates', `names more than ${MAX_TEMPLATES} templates`);
  for (const name of names) {
    if (!Object.hasOwn(config.templates, name)) {
      throw new InjectionError(
        pod,
        'annotation inject.istio.io/templates',
        `there is no template ${JSON.stringify(name)}; there are ${Object.keys(config.templates).join(', ')}`,
      );
    }
  }
  return names;
}
