import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { load } from 'js-yaml';
import { CliError } from './failure.ts';

/** Flags whose defaults users may set once, with what they are otherwise (istio-surface.md, istioctl/operator). */
export const settableFlags = {
  authority: '',
  'cert-dir': '',
  insecure: 'false',
  istioNamespace: 'istio-system',
  plaintext: 'false',
  'prefer-experimental': 'false',
  'xds-address': '',
  'xds-port': '15012',
} as const satisfies Readonly<Record<string, string>>;

export type SettableFlag = keyof typeof settableFlags;

export interface UserDefault {
  readonly flag: SettableFlag;
  readonly value: string;
  /** `$ISTIOCTL_…`, the file, or `default`. */
  readonly from: string;
  readonly isSet: boolean;
}

type Env = Readonly<Record<string, string | undefined>>;

/** Name of the variable that sets a flag's default: `xds-address` is `ISTIOCTL_XDS_ADDRESS`. */
export const variableOf = (flag: string): string => `ISTIOCTL_${flag.replaceAll('-', '_').toUpperCase()}`;

/** The file with users' defaults: `ISTIOCONFIG`, else `~/.istioctl/config.yaml`. */
export const configFile = (env: Env): string =>
  env.ISTIOCONFIG || join(env.HOME || homedir(), '.istioctl', 'config.yaml');

/** What users have set as defaults of flags: the environment wins over the file. Raises CliError for a file that cannot be read. */
export function userDefaults(env: Env): readonly UserDefault[] {
  const file = configFile(env);
  const settings = readSettings(file, env.ISTIOCONFIG !== undefined && env.ISTIOCONFIG !== '');
  return (Object.entries(settableFlags) as [SettableFlag, string][]).map(([flag, fallback]) => {
    const variable = variableOf(flag);
    const fromEnv = env[variable];
    if (fromEnv !== undefined && fromEnv !== '') return { flag, value: fromEnv, from: `$${variable}`, isSet: true };
    // Keys are compared without case, as users know it from Istio's file.
    const inFile = settings.get(flag.toLowerCase());
    if (inFile !== undefined) return { flag, value: inFile, from: file, isSet: true };
    return { flag, value: fallback, from: 'default', isSet: false };
  });
}

function readSettings(file: string, required: boolean): ReadonlyMap<string, string> {
  if (!existsSync(file)) {
    if (required) throw new CliError(`ISTIOCONFIG names ${file}, which does not exist`);
    return new Map();
  }
  let content: unknown;
  try {
    const text = readFileSync(file, 'utf8');
    content = text.trim() === '' ? undefined : load(text);
  } catch (error) {
    throw new CliError(`the defaults in ${file} cannot be read: ${(error as Error).message}`);
  }
  if (content === undefined || content === null) return new Map();
  if (typeof content !== 'object' || Array.isArray(content))
    throw new CliError(`the defaults in ${file} must be lines of the form FLAG: VALUE`);
  return new Map(Object.entries(content).map(([key, value]) => [key.toLowerCase(), String(value)]));
}
