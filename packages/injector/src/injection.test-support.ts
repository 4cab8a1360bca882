import { join } from 'node:path';
import { decodeMeshConfig } from '@istio-ts/api';
import { loadChart, renderChart, type Values } from '@istio-ts/charts';
import { type InjectionConfig, parseInjectionConfig } from './config.ts';
import { type InjectionInput, injectPod } from './inject.ts';
import { type JsonObject, listAt, objectAt } from './json.ts';
import type { PatchOperation } from './json-patch.ts';
import type { ObjectInput } from './objects.ts';

/** The configuration as the chart of istiod makes it from these values. */
export function chartConfig(values: Values = {}): InjectionConfig {
  const chart = loadChart(join(import.meta.dirname, '..', '..', 'charts', 'manifests', 'istiod'));
  const { manifests } = renderChart(chart, { values, release: { name: 'istio', namespace: 'istio-system' } });
  const map = manifests.find(
    ({ object }) => object.kind === 'ConfigMap' && object.metadata.name === 'istio-sidecar-injector',
  );
  const data = map?.object.data as Record<string, string>;
  return parseInjectionConfig(data.config ?? '', data.values ?? '');
}

export function chartInput(values: Values = {}, mesh: unknown = {}): ObjectInput {
  return {
    config: chartConfig(values),
    meshConfig: decodeMeshConfig(mesh).value,
    namespace: 'default',
    revision: 'default',
  };
}

/** The reference for the patches: RFC 6902, as the API server applies them. */
export function applyPatch(document: unknown, patch: readonly PatchOperation[]): unknown {
  // By way of text, so that parts which are one object become two.
  const root = { '': JSON.parse(JSON.stringify(document)) as unknown } as Record<string, unknown>;
  for (const operation of patch) {
    const keys = operation.path.split('/').map((key) => key.replaceAll('~1', '/').replaceAll('~0', '~'));
    const last = keys.pop() ?? '';
    let at: unknown = operation.path === '' ? root : root[''];
    for (const key of keys.slice(1)) at = (at as Record<string, unknown>)[key];
    if (operation.op === 'remove') delete (at as Record<string, unknown>)[last];
    else if (Array.isArray(at) && last === '-') at.push(structuredClone(operation.value));
    else (at as Record<string, unknown>)[last] = structuredClone(operation.value);
  }
  return root[''];
}

/** A pod with one application and whatever else is given. */
export function podWith(changes: { readonly metadata?: JsonObject; readonly spec?: JsonObject } = {}): JsonObject {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'p', ...changes.metadata },
    spec: { containers: [{ name: 'app', image: 'app' }], ...changes.spec },
  };
}

/** Injects and gives the pod; fails where the pod is left alone. */
export function injected(input: InjectionInput): JsonObject {
  const result = injectPod(input);
  if (!result.injected) throw new Error(`left alone: ${result.reason}`);
  return result.pod;
}

/** A container of either list, by its name; empty where there is none. */
export function containerOf(pod: JsonObject, name: string): JsonObject {
  return (
    [...listAt(pod, 'spec', 'containers'), ...listAt(pod, 'spec', 'initContainers')].find(
      (container) => container.name === name,
    ) ?? {}
  );
}

/** Value of a variable of a container. */
export function variableOf(container: JsonObject, name: string): unknown {
  return listAt(container, 'env').find((each) => each.name === name)?.value;
}

/** The word after a flag in a container's arguments. */
export function argumentAfter(container: JsonObject, flag: string): unknown {
  const args = Array.isArray(container.args) ? container.args : [];
  const index = args.indexOf(flag);
  return index === -1 ? undefined : args[index + 1];
}

export function annotationsOf(pod: JsonObject): JsonObject {
  return objectAt(pod, 'metadata', 'annotations');
}
