import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { defaultValues, isJsonObject, type Json, type JsonObject, loadChart } from '@istio-ts/charts';
import { describe, joinPath, type Report } from './settings-report.ts';
import { nearest, suggestion } from './suggestion.ts';

const charts = ['base', 'istiod', 'istio-ingress', 'istio-egress', 'cni', 'ztunnel'] as const;
/** Settings of these charts stand below this name for istioctl and at the top for helm. */
const ownNames: Readonly<Record<string, string>> = { istiod: 'pilot', cni: 'cni', ztunnel: 'ztunnel' };
/** Values that Istio's charts know and that have no default of their own, or belong to parts that are not built yet. */
const known: JsonObject = {
  profile: '',
  platform: '',
  compatibilityVersion: '',
  cni: {},
  ztunnel: {},
  istio_cni: {},
  pilot: { enabled: true, hub: '', tag: '', env: {}, cni: {} },
  gateways: { securityContext: {}, seccompProfile: {}, enabled: false },
  global: { caName: '', certSigners: [], defaultConfigVisibilitySettings: [], proxy: { tracer: '' } },
};

const choices: Readonly<Record<string, readonly string[]>> = {
  'global.imagePullPolicy': ['', 'Always', 'IfNotPresent', 'Never'],
  'global.variant': ['', 'debug', 'distroless'],
  'global.proxy.autoInject': ['enabled', 'disabled'],
  'global.proxy.logLevel': ['trace', 'debug', 'info', 'warning', 'error', 'critical', 'off'],
  'global.pilotCertProvider': ['istiod', 'kubernetes', 'none'],
  'sidecarInjectorWebhook.reinvocationPolicy': ['Never', 'IfNeeded'],
  'gateways.istio-ingressgateway.type': ['LoadBalancer', 'NodePort', 'ClusterIP'],
  'gateways.istio-egressgateway.type': ['LoadBalancer', 'NodePort', 'ClusterIP'],
};

function overlay(under: Json | undefined, over: Json): Json {
  if (!isJsonObject(under) || !isJsonObject(over)) return over;
  const merged: Record<string, Json> = { ...under };
  for (const [key, value] of Object.entries(over)) merged[key] = overlay(merged[key], value);
  return merged;
}

/** The defaults of all charts in one mapping: which values there are and of which type. */
export function chartDefaults(chartsDir: string): JsonObject {
  let defaults: Json = {};
  for (const name of charts) {
    if (!existsSync(join(chartsDir, name))) continue;
    const values = defaultValues(loadChart(join(chartsDir, name)));
    const own = ownNames[name];
    if (own === undefined || name === 'istiod') defaults = overlay(defaults, values);
    if (own !== undefined) defaults = overlay(defaults, { [own]: values });
    // What is the same for all charts.
    if (isJsonObject(values) && values.global !== undefined) defaults = overlay(defaults, { global: values.global });
  }
  const all = overlay(known, defaults);
  return isJsonObject(all) ? all : {};
}

/**
 * Checks Helm values against the defaults of the charts: types and choices, and names, where one that looks like a slip of a known name is a mistake and
 * any other unknown one is worth a warning (Helm itself ignores both).
 */
export function checkValues(values: JsonObject, defaults: JsonObject, report: Report): void {
  checkMapping(values, defaults, 'values', report);
  for (const [path, allowed] of Object.entries(choices)) {
    const value = path
      .split('.')
      .reduce<Json | undefined>((at, key) => (isJsonObject(at) ? at[key] : undefined), values);
    if (typeof value === 'string' && !allowed.includes(value))
      report(
        `values.${path}`,
        `must be one of ${allowed.filter((each) => each !== '').join(', ')}, not ${describe(value)}${suggestion(value, allowed)}`,
      );
  }
}

/** Mappings with names of the charts only; in others (resources, labels, environment variables) users choose the names. */
const closed: ReadonlySet<string> = new Set(
  [
    '',
    '.global',
    '.global.proxy',
    '.global.proxy_init',
    '.pilot',
    '.cni',
    '.istio_cni',
    '.ztunnel',
    '.sidecarInjectorWebhook',
    '.telemetry',
  ].map((below) => `values${below}`),
);

function checkMapping(values: JsonObject, defaults: JsonObject, path: string, report: Report): void {
  // An empty default is a place for anything: labels, selectors, environment variables.
  const names = Object.keys(defaults);
  if (names.length === 0) return;
  for (const [key, value] of Object.entries(values)) {
    const at = joinPath(path, key);
    const example = defaults[key];
    if (example === undefined) {
      const meant = nearest(key, names);
      // Gateways of a user's own name, resources and node selectors have names that nobody can foresee.
      if (meant !== undefined) report(at, `unknown value; did you mean ${meant}?`);
      else if (closed.has(path))
        report(at, 'no chart of this installation knows this value: it has no effect', 'warning');
    } else checkType(value, example, at, report);
  }
}

function checkType(value: Json, example: Json, path: string, report: Report): void {
  if (value === null || example === null) return;
  if (isJsonObject(example)) {
    if (!isJsonObject(value)) report(path, `must be a mapping, not ${describe(value)}`);
    else if (path !== 'values.meshConfig') checkMapping(value, example, path, report);
  } else if (Array.isArray(example)) {
    if (!Array.isArray(value)) report(path, `must be a list, not ${describe(value)}`);
  } else if (typeof example === 'boolean') {
    if (typeof value !== 'boolean') report(path, `must be true or false, not ${describe(value)}`);
  } else if (typeof example === 'number') {
    if (
      typeof value !== 'number' &&
      !(typeof value === 'string' && value.trim() !== '' && Number.isFinite(Number(value)))
    )
      report(path, `must be a number, not ${describe(value)}`);
  } else if (typeof value === 'object') {
    report(path, `must be a single value, not ${describe(value)}`);
  }
}
