import { readFileSync } from 'node:fs';
import { type JsonObject, loadProfile } from '@istio-ts/charts';
import { parseManifests } from '@istio-ts/kube';
import { OperatorError } from './failure.ts';
import { hasLegacySettings, translateLegacy } from './legacy.ts';
import { setPath, splitSetting } from './set-path.ts';
import { componentFields, type InstallSpec, mergeSpec, specFields } from './spec.ts';

export interface SpecInput {
  /** Folder with the charts and profiles; `--manifests` gives another one. */
  readonly chartsDir: string;
  /** Files with IstioOperator objects, later ones on top. */
  readonly files: readonly string[];
  /** `PATH=VALUE`, later ones on top. */
  readonly sets: readonly string[];
  readonly revision?: string;
  readonly istioNamespace: string;
}

export interface ReadSpec {
  readonly profile: string;
  readonly spec: InstallSpec;
  /** For people: settings that are ignored or translated. */
  readonly messages: readonly string[];
}

const isObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Reads the files given by `-f`. Raises OperatorError that names the file. */
function readFiles(files: readonly string[]): {
  readonly specs: readonly JsonObject[];
  readonly messages: readonly string[];
} {
  const messages: string[] = [];
  const specs = files.flatMap((file) => {
    let text: string;
    try {
      text = readFileSync(file === '-' ? 0 : file, 'utf8');
    } catch (error) {
      throw new OperatorError(`-f ${file}: ${(error as Error).message}`);
    }
    const objects = parseManifests(text, file);
    if (objects.length === 0) throw new OperatorError(`-f ${file}: the file is empty; it must hold an IstioOperator`);
    return objects.map((object) => {
      const spec = isObject(object.spec) ? object.spec : {};
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

function check(spec: JsonObject): void {
  const unknown = Object.keys(spec).find((key) => !specFields.includes(key));
  if (unknown !== undefined)
    throw new OperatorError(
      `unknown setting "${unknown}": the top-level settings are ${specFields.join(', ')} (settings of charts stand below "values")`,
    );
  const components = isObject(spec.components) ? spec.components : {};
  const component = Object.keys(components).find((key) => !componentFields.includes(key));
  if (component !== undefined)
    throw new OperatorError(`unknown component "components.${component}": there are ${componentFields.join(', ')}`);
  for (const list of ['ingressGateways', 'egressGateways']) {
    const gateways = components[list];
    if (gateways !== undefined && !Array.isArray(gateways))
      throw new OperatorError(`components.${list} must be a list of gateways, each with a name`);
    for (const [index, gateway] of (Array.isArray(gateways) ? gateways : []).entries()) {
      if (!isObject(gateway) || typeof gateway.name !== 'string')
        throw new OperatorError(`components.${list}[${index}].name is missing: every gateway needs a name`);
    }
  }
  if (spec.values !== undefined && !isObject(spec.values)) throw new OperatorError('values must be a mapping');
  if (spec.meshConfig !== undefined && !isObject(spec.meshConfig))
    throw new OperatorError('meshConfig must be a mapping');
}

/**
 * Puts an installation's settings together: the profile on top of the default one, then the files in their order, then `--set` in its order. Raises
 * OperatorError for anything that cannot be understood, ChartError for an unknown profile.
 */
export function readSpec(input: SpecInput): ReadSpec {
  const { specs, messages: fileMessages } = readFiles(input.files);
  const messages = [...fileMessages];
  const settings = input.sets.map(splitSetting);
  const fromFiles = specs.reduce(mergeSpec, {});
  const named = settings.findLast(([path]) => path === 'profile')?.[1] ?? fromFiles.profile ?? 'default';
  const profile = String(named);
  let spec = loadProfile(input.chartsDir, 'default');
  if (profile !== 'default')
    spec =
      profile === 'empty' || profile === 'external'
        ? loadProfile(input.chartsDir, profile)
        : mergeSpec(spec, loadProfile(input.chartsDir, profile));
  spec = mergeSpec(spec, fromFiles);
  for (const [path, value] of settings) spec = setPath(spec, path, value);
  if (hasLegacySettings(spec)) {
    const translated = translateLegacy(spec);
    messages.push(...translated.messages);
    spec = translated.spec;
  }
  spec = {
    ...spec,
    profile,
    namespace: spec.namespace ?? input.istioNamespace,
    ...(input.revision !== undefined && { revision: input.revision }),
  };
  check(spec);
  return { profile, spec: spec as InstallSpec, messages };
}
