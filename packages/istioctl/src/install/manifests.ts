import { join } from 'node:path';
import { type Capabilities, type JsonObject, loadChart, renderChart, type Values } from '@istio-ts/charts';
import type { KubeObject } from '@istio-ts/kube';
import { type ChartUse, chartUses, type ComponentName } from './components.ts';
import { applyK8s } from './k8s-overlay.ts';
import { refuseSmuggled } from './smuggling.ts';
import type { InstallSpec } from './spec.ts';

/** The objects of one component, in the order in which they are to be created. */
export interface ComponentManifests {
  readonly component: ComponentName;
  readonly objects: readonly KubeObject[];
}

export interface GenerateContext {
  /** Version and kinds of the cluster to render for. */
  readonly capabilities?: Capabilities;
  /** Hears of settings that have no effect. */
  readonly warn?: (message: string) => void;
}

/** What the chart of a part renders, before `components.*.k8s`. Raises OperatorError and ChartError. */
export function renderUse(chartsDir: string, use: ChartUse, context: GenerateContext = {}): readonly KubeObject[] {
  const chart = loadChart(join(chartsDir, use.chart));
  const render = (values: JsonObject) =>
    renderChart(chart, {
      values: values as Values,
      release: { name: use.release, namespace: use.namespace, service: 'Helm' },
      ...(context.capabilities !== undefined && { capabilities: context.capabilities }),
    }).manifests.map(({ object }) => object);
  const objects = render(use.values);
  refuseSmuggled(use.values, objects, render);
  return objects;
}

/**
 * Everything that an installation consists of. Raises OperatorError and ChartError.
 */
export function generateManifests(
  chartsDir: string,
  spec: InstallSpec,
  context: GenerateContext = {},
): readonly ComponentManifests[] {
  const byComponent = new Map<ComponentName, KubeObject[]>();
  for (const use of chartUses(spec)) {
    const rendered = renderUse(chartsDir, use, context);
    const objects =
      use.k8s === undefined ? rendered : applyK8s(rendered, use.workload, use.k8s, use.path, context.warn);
    byComponent.set(use.component, [...(byComponent.get(use.component) ?? []), ...objects]);
  }
  return [...byComponent].map(([component, objects]) => ({ component, objects }));
}
