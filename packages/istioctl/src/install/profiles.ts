import { existsSync } from 'node:fs';
import { type Json, type JsonObject, profileNames } from '@istio-ts/charts';
import { dump } from 'js-yaml';
import { OperatorError } from './failure.ts';
import { readSpec, wholeProfile } from './input.ts';
import { getPath } from './set-path.ts';
import { differences } from './structural-diff.ts';
import type { Ui } from './ui.ts';

export interface ProfileOptions {
  readonly ui: Ui;
  readonly chartsDir: string;
}

const yaml = (value: unknown) => dump(value, { lineWidth: -1, noRefs: true, sortKeys: true });
const asObject = (spec: Json) => ({ apiVersion: 'install.istio.io/v1alpha1', kind: 'IstioOperator', spec });
const unsupported = (output: string, allowed: string) =>
  new OperatorError(`output format "${output}" is not supported: use ${allowed}`);

/** `istioctl profile list`. */
export async function runProfileList({
  ui,
  chartsDir,
  output,
}: ProfileOptions & { readonly output: string }): Promise<number> {
  const names = profileNames(chartsDir);
  switch (output) {
    case 'json':
      ui.line(JSON.stringify(names, null, 2));
      return 0;
    case 'yaml':
      ui.line(yaml(names).trimEnd());
      return 0;
    case 'short':
    case '':
      ui.line('Istio configuration profiles:');
      for (const name of names) ui.line(`    ${name}`);
      return 0;
    default:
      throw unsupported(output, 'short, yaml or json');
  }
}

/** A profile, or the settings of a file, with what it inherits from the default profile. */
function settingsOf(chartsDir: string, name: string): JsonObject {
  if (profileNames(chartsDir).includes(name) || !(name === '-' || existsSync(name)))
    return wholeProfile(chartsDir, name);
  return readSpec({ chartsDir, files: [name], sets: [], istioNamespace: 'istio-system' }).spec as JsonObject;
}

function selected(spec: JsonObject, configPath: string | undefined): Json {
  if (configPath === undefined || configPath === '') return spec;
  const value = getPath(spec, configPath);
  if (value === undefined) throw new OperatorError(`--config-path ${configPath}: the profile has nothing there`);
  return value;
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
  if (name !== undefined && files.length > 0)
    throw new OperatorError('name a profile or give files with -f, not both: a file says its own profile');
  const spec =
    files.length > 0
      ? (readSpec({ chartsDir, files, sets: [], istioNamespace: 'istio-system' }).spec as JsonObject)
      : wholeProfile(chartsDir, name ?? 'default');
  const part = selected(spec, configPath);
  const value = configPath === undefined ? asObject(part) : part;
  switch (output) {
    case 'json':
      ui.line(JSON.stringify(value, null, 2));
      return 0;
    case 'flags':
      // What `--set` takes: copied behind it, each line gives the same setting.
      for (const flag of flags(part, configPath === undefined ? '' : configPath)) ui.line(flag);
      return 0;
    case 'yaml':
      ui.line(typeof value === 'object' ? yaml(value).trimEnd() : String(value));
      return 0;
    default:
      throw unsupported(output, 'yaml, json or flags');
  }
}

function flags(value: unknown, path: string): readonly string[] {
  if (Array.isArray(value)) return value.flatMap((item, index) => flags(item, `${path}[${index}]`));
  if (typeof value === 'object' && value !== null)
    return Object.entries(value).flatMap(([key, child]) => {
      const name = key.replaceAll('.', '\\.');
      return flags(child, path === '' ? name : `${path}.${name}`);
    });
  return [`${path}=${String(value)}`];
}

/** `istioctl profile diff A B`: settings that differ; ends with 1 when any does. */
export async function runProfileDiff({
  ui,
  chartsDir,
  names,
  output,
  configPath,
}: ProfileOptions & {
  readonly names: readonly [string, string];
  readonly output: string;
  readonly configPath?: string;
}): Promise<number> {
  const [a, b] = names.map((name) => selected(settingsOf(chartsDir, name), configPath));
  const found = differences(a, b)
    .flatMap(({ path, before, after }) => leaves(path, before, after))
    .sort((x, y) => (x.path < y.path ? -1 : 1));
  switch (output) {
    case 'json':
      ui.line(JSON.stringify(found, null, 2));
      break;
    case 'yaml':
      ui.line(yaml(found).trimEnd());
      break;
    case 'short':
    case '':
      if (found.length === 0) {
        ui.line('Profiles are identical');
        break;
      }
      ui.line(`The difference between profiles ${names[0]} and ${names[1]}:`);
      for (const { path, before, after } of found) {
        if (before !== undefined) ui.line(`-${path}: ${String(before)}`);
        if (after !== undefined) ui.line(`+${path}: ${String(after)}`);
      }
      break;
    default:
      throw unsupported(output, 'short, yaml or json');
  }
  return found.length === 0 ? 0 : 1;
}

/** A difference of whole branches as one of their leaves. */
function leaves(
  path: string,
  before: unknown,
  after: unknown,
): readonly { readonly path: string; readonly before?: unknown; readonly after?: unknown }[] {
  const of = (value: unknown) =>
    value === undefined
      ? new Map<string, string>()
      : new Map(
          flags(value, path).map((flag) => [
            flag.slice(0, flag.indexOf('=', path.length)),
            flag.slice(flag.indexOf('=', path.length) + 1),
          ]),
        );
  if (typeof before !== 'object' && typeof after !== 'object')
    return [{ path, ...(before !== undefined && { before }), ...(after !== undefined && { after }) }];
  const [x, y] = [of(before), of(after)];
  return [...new Set([...x.keys(), ...y.keys()])].map((key) => ({
    path: key,
    ...(x.has(key) && { before: x.get(key) }),
    ...(y.has(key) && { after: y.get(key) }),
  }));
}
