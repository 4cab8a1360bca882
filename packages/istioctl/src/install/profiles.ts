import { type JsonObject, profileNames } from '@istio-ts/charts';
import { dump } from 'js-yaml';
import { OperatorError } from './failure.ts';
import { readSpec, wholeProfile } from './input.ts';
import type { Ui } from './ui.ts';

export interface ProfileOptions {
  readonly ui: Ui;
  readonly chartsDir: string;
}

/** `istioctl profile list`. */
export async function runProfileList({ ui, chartsDir }: ProfileOptions): Promise<number> {
  ui.line('Istio configuration profiles:');
  for (const name of profileNames(chartsDir)) ui.line(`    ${name}`);
  return 0;
}

const yaml = (value: unknown) => dump(value, { lineWidth: -1, noRefs: true, sortKeys: true });
const asObject = (spec: JsonObject) => ({ apiVersion: 'install.istio.io/v1alpha1', kind: 'IstioOperator', spec });

function below(spec: JsonObject, path: string): unknown {
  return path.split('.').reduce<unknown>((value, key) => {
    const child =
      typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>)[key] : undefined;
    if (child === undefined) throw new OperatorError(`--config-path ${path}: the profile has nothing there`);
    return child;
  }, spec);
}

/** `istioctl profile dump [NAME]`: the profile with what it inherits from the default one. */
export async function runProfileDump({
  ui,
  chartsDir,
  name,
  files,
  configPath,
  output,
}: ProfileOptions & {
  readonly name?: string;
  readonly files: readonly string[];
  readonly configPath?: string;
  readonly output: string;
}): Promise<number> {
  const spec =
    files.length > 0
      ? (readSpec({ chartsDir, files, sets: [], istioNamespace: 'istio-system' }).spec as JsonObject)
      : wholeProfile(chartsDir, name ?? 'default');
  const value = configPath === undefined ? asObject(spec) : below(spec, configPath);
  if (output !== 'yaml' && output !== 'json' && output !== 'flags')
    throw new OperatorError(`output format "${output}" is not supported: use yaml, json or flags`);
  if (output === 'json') ui.line(JSON.stringify(value, null, 2));
  else if (output === 'flags') for (const flag of flags(spec, [])) ui.line(flag);
  else ui.line(yaml(value).trimEnd());
  return 0;
}

function flags(value: unknown, path: readonly string[]): readonly string[] {
  if (Array.isArray(value))
    return value.flatMap((item, index) => flags(item, [...path.slice(0, -1), `${path.at(-1)}[${index}]`]));
  if (typeof value === 'object' && value !== null)
    return Object.entries(value).flatMap(([key, child]) => flags(child, [...path, key.replaceAll('.', '\\.')]));
  return [`${path.join('.')}=${String(value)}`];
}

/** `istioctl profile diff A B`: settings that differ; ends with 1 when any does. */
export async function runProfileDiff({
  ui,
  chartsDir,
  names,
}: ProfileOptions & { readonly names: readonly [string, string] }): Promise<number> {
  const [a, b] = names.map(
    (name) =>
      new Map(
        flags(wholeProfile(chartsDir, name), []).map(
          (flag) => [flag.slice(0, flag.indexOf('=')), flag.slice(flag.indexOf('=') + 1)] as const,
        ),
      ),
  );
  if (!a || !b) throw new OperatorError('profile diff compares two profiles: istioctl profile diff default demo');
  const keys = [...new Set([...a.keys(), ...b.keys()])].sort();
  const differing = keys.filter((key) => a.get(key) !== b.get(key));
  if (differing.length === 0) {
    ui.line('Profiles are identical');
    return 0;
  }
  ui.line(`The difference between profiles ${names[0]} and ${names[1]}:`);
  for (const key of differing) {
    if (a.has(key)) ui.line(`-${key}: ${a.get(key)}`);
    if (b.has(key)) ui.line(`+${key}: ${b.get(key)}`);
  }
  return 1;
}
