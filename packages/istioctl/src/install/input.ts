import { readFileSync, statSync } from 'node:fs';
import { isJsonObject, type JsonObject, loadProfile } from '@istio-ts/charts';
import { type KubeObject, parseManifests } from '@istio-ts/kube';
import { unreadable } from '../cli/failure.ts';
import { chartDefaults } from './chart-values.ts';
import { OperatorError } from './failure.ts';
import { hasLegacySettings, translateLegacy, translateValues } from './legacy.ts';
import { guardSettings } from './settings-guard.ts';
import { getPath, setPath, splitSetting } from './set-path.ts';
import { describe } from './settings-report.ts';
import { type InstallSpec, mergeSpec } from './spec.ts';
import { mistakesError, validateSpec } from './validate.ts';

export interface SpecInput {
  /** Folder with the charts and profiles; `--manifests` gives another one. */
  readonly chartsDir: string;
  /** Files with IstioOperator objects, later ones on top. */
  readonly files: readonly string[];
  /** `PATH=VALUE`, later ones on top. */
  readonly sets: readonly string[];
  readonly revision?: string;
  readonly istioNamespace: string;
  /** Mistakes in the settings become warnings. */
  readonly force?: boolean;
  /** Settings that did not come from a file: an IstioOperator of the cluster. On top of the files. */
  readonly specs?: readonly JsonObject[];
}

/** What a user set: the files laid on each other, and the `--set` on top of them. */
export interface GivenSettings {
  readonly spec: JsonObject;
  readonly sets: readonly string[];
}

export interface ReadSpec {
  readonly profile: string;
  readonly spec: InstallSpec;
  /** What the user set, without what profiles add. */
  readonly given: GivenSettings;
  /** For people: settings that are ignored or translated. */
  readonly messages: readonly string[];
}

/** The largest file of settings that is read, in bytes. */
const maxFile = 8 << 20;

function readObjects(file: string): readonly KubeObject[] {
  let text: string;
  try {
    if (file !== '-' && statSync(file).size > maxFile) throw new Error(`larger than ${maxFile >> 20} MiB`);
    text = readFileSync(file === '-' ? 0 : file, 'utf8');
    if (text.length > maxFile) throw new Error(`larger than ${maxFile >> 20} MiB`);
  } catch (error) {
    throw new OperatorError(`-f ${file}: ${unreadable(error)}`);
  }
  return parseManifests(text, file);
}

/** Reads the files given by `-f`. Raises OperatorError that names the file. */
function readFiles(files: readonly string[]): {
  readonly specs: readonly JsonObject[];
  readonly messages: readonly string[];
} {
  const messages: string[] = [];
  const specs = files.flatMap((file) => {
    const objects = readObjects(file);
    if (objects.length === 0) throw new OperatorError(`-f ${file}: the file is empty; it must hold an IstioOperator`);
    return objects.map((object) => {
      if (object.spec !== undefined && object.spec !== null && !isJsonObject(object.spec))
        throw new OperatorError(`-f ${file}: spec must be a mapping`);
      const spec = isJsonObject(object.spec) ? object.spec : {};
      guardSettings(spec, `-f ${file}`);
      if (object.apiVersion.startsWith('install.istio.io/') && object.kind === 'IstioOperator') return spec;
      if (object.apiVersion === 'install.istio.io/v1alpha2' && object.kind === 'IstioControlPlane') {
        const translated = translateLegacy(spec);
        messages.push(
          `${file}: IstioControlPlane of Istio 1.4 is read as IstioOperator`,
          ...translated.messages.map((message) => `${file}: ${message}`),
        );
        return translated.spec;
      }
      throw new OperatorError(
        `-f ${file}: expected an IstioOperator (install.istio.io/v1alpha1), found ${object.kind} (${object.apiVersion})`,
      );
    });
  });
  return { specs, messages };
}

/** A profile with what it inherits from the default one. Raises ChartError for an unknown name. */
export function wholeProfile(chartsDir: string, name: string): JsonObject {
  const base = loadProfile(chartsDir, 'default');
  return name === 'default' ? base : mergeSpec(base, loadProfile(chartsDir, name));
}

/**
 * Puts an installation's settings together: the profile on top of the default one, then the files in their order, then `--set` in its order. Raises
 * OperatorError for anything that cannot be understood, ChartError for an unknown profile.
 */
export function readSpec(input: SpecInput): ReadSpec {
  const { specs: fileSpecs, messages: fileMessages } = readFiles(input.files);
  const specs = [...fileSpecs, ...(input.specs ?? [])];
  for (const spec of input.specs ?? []) guardSettings(spec, 'spec');
  const messages = [...fileMessages];
  const settings = input.sets.map(splitSetting);
  const fromFiles = specs.reduce(mergeSpec, {});
  const named = settings.findLast(([path]) => path === 'profile')?.[1] ?? fromFiles.profile ?? 'default';
  if (typeof named === 'object') throw new OperatorError(`profile: must be text, not ${describe(named)}`);
  const profile = String(named) === '' ? 'default' : String(named);
  let spec = mergeSpec(wholeProfile(input.chartsDir, profile), fromFiles);
  for (const [path, value] of settings) spec = setPath(spec, path, value);
  guardSettings(spec, '--set');
  if (hasLegacySettings(spec)) {
    const translated = translateLegacy(spec);
    messages.push(...translated.messages);
    spec = translated.spec;
  }
  const moved = translateValues(spec);
  messages.push(...moved.messages);
  spec = moved.spec;
  // Profiles name a namespace too, but only what the user names counts as one that is wished for.
  const wished =
    settings.findLast(([path]) => path === 'values.global.istioNamespace')?.[1] ??
    getPath(fromFiles, 'values.global.istioNamespace');
  const namespace = spec.namespace ?? (typeof wished === 'string' && wished !== '' ? wished : input.istioNamespace);
  const global = getPath(spec, 'values.global');
  if (wished === undefined && typeof namespace === 'string' && isJsonObject(spec.values) && isJsonObject(global))
    spec = mergeSpec(spec, { values: { global: { istioNamespace: namespace } } });
  spec = {
    ...spec,
    profile,
    namespace,
    ...(input.revision !== undefined && { revision: input.revision }),
  };
  const checked = validateSpec(spec, chartDefaults(input.chartsDir));
  const mistakes = checked.problems.filter(({ severity }) => severity === 'error');
  if (mistakes.length > 0 && input.force !== true) throw mistakesError(mistakes);
  messages.push(...checked.problems.map(({ path, message }) => `${path}: ${message}`));
  return { profile, spec: checked.spec as InstallSpec, given: { spec: fromFiles, sets: input.sets }, messages };
}
