import { join } from 'node:path';
import { decodeMeshConfig } from '@istio-ts/api';
import { loadChart, renderChart, type Values } from '@istio-ts/charts';
import { readYaml } from '@istio-ts/gotemplate';
import { type InjectionConfig, parseInjectionConfig } from './config.ts';
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

export function parseObjects(text: string): unknown {
  return readYaml(text);
}
