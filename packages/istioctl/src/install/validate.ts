import { decodeMeshConfig } from '@istio-ts/api';
import { isJsonObject, type Json, type JsonObject } from '@istio-ts/charts';
import { checkValues } from './chart-values.ts';
import { OperatorError } from './failure.ts';
import { checkK8s } from './k8s-settings.ts';
import { describe, joinPath, type Report, type SettingProblem } from './settings-report.ts';
import { componentFields, specFields } from './spec.ts';
import { suggestion } from './suggestion.ts';

const partFields = ['enabled', 'namespace', 'hub', 'tag', 'spec', 'k8s'] as const;
const gatewayFields = [...partFields, 'name', 'label'] as const;
const gatewayLists = ['ingressGateways', 'egressGateways'];
/** Settings that are text, whatever they look like: `--set tag=2` is no number. */
const texts = ['profile', 'hub', 'tag', 'namespace', 'revision', 'defaultRevision', 'compatibilityVersion'] as const;

/** What names must look like, as they end up in names and references of Kubernetes objects. */
const forms: Readonly<Record<string, { readonly form: RegExp; readonly example: string }>> = {
  namespace: {
    form: /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/,
    example: 'use lower-case letters, digits and dashes, as in istio-system',
  },
  name: {
    form: /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/,
    example: 'use lower-case letters, digits and dashes, as in istio-ingressgateway',
  },
  tag: { form: /^[\w][\w.-]{0,127}$/, example: 'an image tag has letters, digits, dots and dashes, as in 1.30.0' },
  hub: {
    form: /^[a-zA-Z0-9][a-zA-Z0-9._-]*(:\d+)?(\/[a-zA-Z0-9._-]+)*$/,
    example: 'a registry and path without https://, as in docker.io/istio',
  },
};

function checkForm(value: Json | undefined, kind: string, path: string, report: Report): void {
  if (value === undefined || value === null || value === '') return;
  if (typeof value !== 'string') {
    if (!(kind === 'tag' && typeof value === 'number')) report(path, `must be text, not ${describe(value)}`);
    return;
  }
  const rule = forms[kind];
  if (rule && !rule.form.test(value)) report(path, `${describe(value)} is no valid ${kind}: ${rule.example}`);
}

/**
 * Checks the settings of an installation against Istio's schema of them, the mesh configuration's, and the charts' defaults (`chartDefaults`): unknown
 * names, wrong types, words that are no choice. Returns all that is wrong, with the path of each setting, and the settings with numbers turned into text
 * where text is meant.
 */
export function validateSpec(
  spec: JsonObject,
  chartDefaults: JsonObject,
): { readonly spec: JsonObject; readonly problems: readonly SettingProblem[] } {
  const problems: SettingProblem[] = [];
  const report: Report = (path, message, severity = 'error') => void problems.push({ path, message, severity });
  onlyKnown(spec, specFields, '', report);
  const fixed: Record<string, Json> = { ...spec };
  for (const key of texts) {
    const value = spec[key];
    if (typeof value === 'number') fixed[key] = String(value);
    else if (value !== undefined && value !== null && typeof value !== 'string')
      report(key, `must be text, not ${describe(value)}`);
  }
  const { revision } = fixed;
  if (typeof revision === 'string' && revision !== '' && !/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(revision))
    report(
      'revision',
      `${describe(revision)} is no valid name: use lower-case letters, digits and dashes, as in 1-30-0`,
    );
  for (const kind of ['namespace', 'tag', 'hub'])
    if (typeof fixed[kind] === 'string') checkForm(fixed[kind], kind, kind, report);
  if (Object.keys(mapping(spec, 'addonComponents', 'addonComponents', report)).length > 0)
    report('addonComponents', 'is gone since Istio 1.8: apply the manifests in samples/addons instead');
  const components = mapping(spec, 'components', 'components', report);
  onlyKnown(components, componentFields, 'components', report);
  for (const [name, value] of Object.entries(components)) {
    if (value === null) continue;
    if (gatewayLists.includes(name)) checkGateways(value, `components.${name}`, report);
    else checkPart(value, partFields, `components.${name}`, report);
  }
  const values = mapping(spec, 'values', 'values', report);
  checkValues(values, chartDefaults, report);
  const global = isJsonObject(values.global) ? values.global : {};
  for (const kind of ['tag', 'hub']) checkForm(global[kind], kind, `values.global.${kind}`, report);
  checkForm(global.istioNamespace, 'namespace', 'values.global.istioNamespace', report);
  if (
    typeof global.istioNamespace === 'string' &&
    typeof fixed.namespace === 'string' &&
    global.istioNamespace !== fixed.namespace
  )
    report(
      'values.global.istioNamespace',
      `is ${describe(global.istioNamespace)}, but the control plane is installed in ${describe(fixed.namespace)}: set namespace (or -i) and leave this one out`,
      'warning',
    );
  mapping(spec, 'unvalidatedValues', 'unvalidatedValues', report);
  const mesh = mapping(spec, 'meshConfig', 'meshConfig', report);
  fixed.meshConfig = withTextMetadata(mesh);
  if (spec.meshConfig === undefined) delete fixed.meshConfig;
  checkMesh(withTextMetadata(mesh), 'meshConfig', report);
  if (isJsonObject(values.meshConfig)) checkMesh(withTextMetadata(values.meshConfig), 'values.meshConfig', report);
  return { spec: fixed, problems };
}

/** One message about all mistakes, for people. */
export function mistakesError(problems: readonly SettingProblem[]): OperatorError {
  const [first] = problems;
  const line = ({ path, message }: SettingProblem) => `${path}: ${message}`;
  if (problems.length === 1 && first !== undefined) return new OperatorError(line(first));
  return new OperatorError(
    `the settings have ${problems.length} mistakes:\n${problems.map((each) => `  ${line(each)}`).join('\n')}`,
  );
}

function onlyKnown(object: JsonObject, known: readonly string[], path: string, report: Report): void {
  for (const key of Object.keys(object)) {
    if (known.includes(key)) continue;
    const hint = suggestion(key, known);
    const where = path === '' ? ' (settings of charts stand below "values")' : '';
    report(joinPath(path, key), `unknown setting${hint === '' ? `; there are ${known.join(', ')}${where}` : hint}`);
  }
}

function mapping(parent: JsonObject, key: string, path: string, report: Report): JsonObject {
  const value = parent[key];
  if (value === undefined || value === null) return {};
  if (isJsonObject(value)) return value;
  report(path, `must be a mapping, not ${describe(value)}`);
  return {};
}

function checkPart(value: Json | undefined, fields: readonly string[], path: string, report: Report): void {
  if (!isJsonObject(value)) {
    report(path, `must be a mapping, not ${describe(value)}`);
    return;
  }
  onlyKnown(value, fields, path, report);
  if (value.enabled !== undefined && value.enabled !== null && typeof value.enabled !== 'boolean')
    report(`${path}.enabled`, `must be true or false, not ${describe(value.enabled)}`);
  for (const kind of ['namespace', 'tag', 'hub']) checkForm(value[kind], kind, `${path}.${kind}`, report);
  checkK8s(mapping(value, 'k8s', `${path}.k8s`, report), `${path}.k8s`, report);
}

function checkGateways(value: Json | undefined, path: string, report: Report): void {
  if (!Array.isArray(value)) {
    report(path, `must be a list of gateways, not ${describe(value)}`);
    return;
  }
  const names = new Set<string>();
  for (const [index, gateway] of (value as readonly Json[]).entries()) {
    const at = `${path}[${index}]`;
    checkPart(gateway, gatewayFields, at, report);
    if (!isJsonObject(gateway)) continue;
    if (typeof gateway.name !== 'string' || gateway.name === '') {
      report(`${at}.name`, 'is missing: every gateway needs a name');
      continue;
    }
    checkForm(gateway.name, 'name', `${at}.name`, report);
    for (const [key, text] of Object.entries(mapping(gateway, 'label', `${at}.label`, report)))
      if (typeof text === 'object') report(joinPath(`${at}.label`, key), `must be text, not ${describe(text)}`);
    const identity = `${String(gateway.namespace ?? '')}/${gateway.name}`;
    if (gateway.enabled === true && names.has(identity))
      report(`${at}.name`, `there is a gateway ${gateway.name} already`);
    names.add(identity);
  }
}

/** `--set meshConfig.defaultConfig.proxyMetadata.X=true` means the text: environment variables are nothing else. */
function withTextMetadata(mesh: JsonObject): JsonObject {
  const proxy = mesh.defaultConfig;
  const metadata = isJsonObject(proxy) ? proxy.proxyMetadata : undefined;
  if (!isJsonObject(proxy) || !isJsonObject(metadata)) return mesh;
  const texts = Object.entries(metadata).map(([key, value]): [string, Json] => [
    key,
    typeof value === 'boolean' || typeof value === 'number' ? String(value) : value,
  ]);
  return { ...mesh, defaultConfig: { ...proxy, proxyMetadata: Object.fromEntries(texts) } };
}

function checkMesh(config: JsonObject, path: string, report: Report): void {
  // An unknown field is a warning for istiod, which may be older than what it reads; here it is a slip of who types it.
  for (const problem of decodeMeshConfig(config).problems)
    report(problem.path === '' ? path : `${path}.${problem.path}`, problem.message);
}
