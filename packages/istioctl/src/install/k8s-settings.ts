import { isJsonObject, type Json, type JsonObject } from '@istio-ts/charts';
import { describe, joinPath, type Report } from './settings-report.ts';
import { suggestion } from './suggestion.ts';

type Shape = 'mapping' | 'list' | 'text' | 'number' | 'switch';

/** The settings below `components.*.k8s` and their types (Istio, "IstioOperator Options", KubernetesResourcesSpec). */
export const k8sSettings = {
  affinity: 'mapping',
  deploymentAnnotations: 'mapping',
  dnsPolicy: 'text',
  env: 'list',
  hostNetwork: 'switch',
  hpaSpec: 'mapping',
  imagePullPolicy: 'text',
  imagePullSecrets: 'list',
  livenessProbe: 'mapping',
  nodeSelector: 'mapping',
  overlays: 'list',
  podAnnotations: 'mapping',
  podDisruptionBudget: 'mapping',
  podLabels: 'mapping',
  priorityClassName: 'text',
  readinessProbe: 'mapping',
  replicaCount: 'number',
  resources: 'mapping',
  securityContext: 'mapping',
  service: 'mapping',
  serviceAnnotations: 'mapping',
  strategy: 'mapping',
  tolerations: 'list',
  topologySpreadConstraints: 'list',
  volumeMounts: 'list',
  volumes: 'list',
} as const satisfies Readonly<Record<string, Shape>>;

export type K8sSetting = keyof typeof k8sSettings;

const choices: Readonly<Partial<Record<K8sSetting, readonly string[]>>> = {
  imagePullPolicy: ['Always', 'IfNotPresent', 'Never'],
  dnsPolicy: ['ClusterFirst', 'ClusterFirstWithHostNet', 'Default', 'None'],
};
const names: Readonly<Record<Shape, string>> = {
  mapping: 'a mapping',
  list: 'a list',
  text: 'text',
  number: 'a whole number',
  switch: 'true or false',
};

function is(value: Json, shape: Shape): boolean {
  switch (shape) {
    case 'mapping':
      return isJsonObject(value);
    case 'list':
      return Array.isArray(value);
    case 'text':
      return typeof value === 'string';
    case 'number':
      return typeof value === 'number' && Number.isInteger(value) && value >= 0;
    case 'switch':
      return typeof value === 'boolean';
  }
}

/** Checks `components.*.k8s`: names, types, choices, and that overlays say which object and which place they are about. */
export function checkK8s(k8s: JsonObject, path: string, report: Report): void {
  for (const [key, value] of Object.entries(k8s)) {
    const at = joinPath(path, key);
    if (!Object.hasOwn(k8sSettings, key)) {
      const known = Object.keys(k8sSettings);
      report(at, `unknown setting${suggestion(key, known) || `; there are ${known.join(', ')}`}`);
      continue;
    }
    if (value === null) continue;
    const setting = key as K8sSetting;
    const shape = k8sSettings[setting];
    if (!is(value, shape)) {
      report(at, `must be ${names[shape]}, not ${describe(value)}`);
      continue;
    }
    const allowed = choices[setting];
    if (allowed && typeof value === 'string' && !allowed.includes(value))
      report(at, `must be one of ${allowed.join(', ')}, not ${describe(value)}${suggestion(value, allowed)}`);
  }
  for (const list of ['env', 'volumes', 'volumeMounts', 'tolerations', 'topologySpreadConstraints'] as const)
    for (const [index, item] of items(k8s[list]).entries())
      if (!isJsonObject(item)) report(`${path}.${list}[${index}]`, `must be a mapping, not ${describe(item)}`);
  for (const [index, item] of items(k8s.env).entries())
    if (isJsonObject(item)) {
      if (typeof item.name !== 'string' || item.name === '') report(`${path}.env[${index}].name`, 'is missing');
      if (item.value !== undefined && item.value !== null && typeof item.value === 'object')
        report(`${path}.env[${index}].value`, `must be text, not ${describe(item.value)}`);
    }
  for (const [index, overlay] of items(k8s.overlays).entries()) {
    const at = `${path}.overlays[${index}]`;
    if (!isJsonObject(overlay) || typeof overlay.kind !== 'string' || typeof overlay.name !== 'string') {
      report(at, 'kind and name say which object to change');
      continue;
    }
    for (const [number, patch] of items(overlay.patches).entries())
      if (!isJsonObject(patch) || typeof patch.path !== 'string' || patch.path === '')
        report(`${at}.patches[${number}]`, 'path says what to change');
  }
}

const items = (value: Json | undefined): readonly Json[] => (Array.isArray(value) ? (value as readonly Json[]) : []);
