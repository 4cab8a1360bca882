import { join } from 'node:path';
import { loadChart, renderChart, type Values } from '@istio-ts/charts';
import type { KubeObject } from '@istio-ts/kube';
import { type ChartUse, chartUses, type ComponentName } from './components.ts';
import { applyK8s } from './k8s-overlay.ts';
import type { InstallSpec } from './spec.ts';

/** The objects of one component, in the order in which they are to be created. */
export interface ComponentManifests {
  readonly component: ComponentName;
  readonly objects: readonly KubeObject[];
}

function render(chartsDir: string, use: ChartUse): readonly KubeObject[] {
  const chart = loadChart(join(chartsDir, use.chart));
  const { manifests } = renderChart(chart, {
    values: use.values as Values,
    release: { name: use.release, namespace: use.namespace, service: 'Helm' },
  });
  const objects = manifests.map(({ object }) => object);
  return use.k8s === undefined
    ? objects
    : applyK8s(objects, use.deployment, use.k8s, `components.${use.component}.k8s`);
}

/** Everything that an installation consists of. Raises OperatorError and ChartError. */
export function generateManifests(chartsDir: string, spec: InstallSpec): readonly ComponentManifests[] {
  const byComponent = new Map<ComponentName, KubeObject[]>();
  for (const use of chartUses(spec))
    byComponent.set(use.component, [...(byComponent.get(use.component) ?? []), ...render(chartsDir, use)]);
  return [...byComponent].map(([component, objects]) => ({ component, objects }));
}
