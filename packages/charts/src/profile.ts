import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { compareStrings, readYaml } from '@istio-ts/gotemplate';
import { ChartError } from './errors.ts';
import { isJsonObject, type JsonObject } from './json.ts';

/** Names of the profiles in a folder of manifests, without those that describe a platform or a former version. */
export function profileNames(manifests: string): readonly string[] {
  return files(manifests)
    .filter((name) => !/^(platform|compatibility)-/.test(name))
    .sort(compareStrings);
}

function files(manifests: string): string[] {
  const directory = join(manifests, 'profiles');
  try {
    return readdirSync(directory)
      .filter((name) => name.endsWith('.yaml'))
      .map((name) => name.slice(0, -'.yaml'.length));
  } catch (error) {
    throw new ChartError(
      'profiles',
      `no profiles in ${directory}: ${error instanceof Error ? error.message : String(error)}`,
      error,
    );
  }
}

/** The IstioOperator spec of a profile, without what it inherits from `default`. Throws `ChartError` for an unknown name. */
export function loadProfile(manifests: string, name: string): JsonObject {
  if (!profileNames(manifests).includes(name)) {
    const hint =
      name === 'sds' ? ' Secret discovery is always on since Istio 1.5; use the profile default instead.' : '';
    throw new ChartError(
      'profiles',
      `unknown profile ${shown(name)}; there are ${profileNames(manifests).join(', ')}.${hint}`,
    );
  }
  return read(manifests, name);
}

function read(manifests: string, name: string): JsonObject {
  const path = join(manifests, 'profiles', `${name}.yaml`);
  const document = readYaml(readFileSync(path, 'utf8'), path);
  const spec = isJsonObject(document) ? document.spec : undefined;
  if (!isJsonObject(spec)) throw new ChartError('profiles', `${path}: spec is missing`);
  return spec;
}

/** A user's word in a message: bounded, and on one line. */
function shown(name: string): string {
  return JSON.stringify(name.length > 80 ? `${name.slice(0, 77)}...` : name);
}
