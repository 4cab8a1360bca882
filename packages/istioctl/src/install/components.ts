import type { JsonObject } from '@istio-ts/charts';
import { mergeValues } from '@istio-ts/charts';
import { OperatorError } from './failure.ts';
import type { Component, GatewayComponent, InstallSpec } from './spec.ts';

/** The parts that an installation may have, in the order in which they are installed; the label operator.istio.io/component has the first name. */
export const componentTitles = {
  Base: { title: 'Istio core', done: 'Istio core installed' },
  Pilot: { title: 'Istiod', done: 'Istiod installed' },
  EgressGateways: { title: 'Egress gateways', done: 'Egress gateways installed' },
  IngressGateways: { title: 'Ingress gateways', done: 'Ingress gateways installed' },
} as const;
export type ComponentName = keyof typeof componentTitles;

/** One chart to render, with its values and what is laid over the result. */
export interface ChartUse {
  readonly component: ComponentName;
  readonly chart: string;
  readonly release: string;
  readonly namespace: string;
  readonly values: JsonObject;
  readonly k8s: JsonObject | undefined;
  /** Name of the Deployment that `k8s` is about. */
  readonly deployment: string;
}

const clean = (value: JsonObject): JsonObject =>
  Object.fromEntries(Object.entries(value).filter(([, item]) => item !== undefined));

function valuesFor(spec: InstallSpec, component: Component): JsonObject {
  const global = clean({
    ...(spec.hub !== undefined && { hub: spec.hub }),
    ...(spec.tag !== undefined && { tag: String(spec.tag) }),
    istioNamespace: spec.namespace ?? 'istio-system',
  });
  const own = clean({
    ...(component.hub !== undefined && { hub: component.hub }),
    ...(component.tag !== undefined && { tag: String(component.tag) }),
  });
  const top = clean({
    global: mergeValues(global, own),
    ...(spec.revision !== undefined && { revision: spec.revision }),
    ...(spec.meshConfig !== undefined && { meshConfig: spec.meshConfig }),
  });
  // What the user said below `values` wins over what follows from the other settings, except for the mesh configuration, which is merged.
  const values = mergeValues(top, spec.values ?? {});
  return mergeValues(values, spec.unvalidatedValues ?? {});
}

function gatewayUse(
  spec: InstallSpec,
  gateway: GatewayComponent,
  kind: 'IngressGateways' | 'EgressGateways',
): ChartUse {
  const key = kind === 'IngressGateways' ? 'istio-ingressgateway' : 'istio-egressgateway';
  const namespace = gateway.namespace ?? spec.namespace ?? 'istio-system';
  const labels =
    gateway.label ??
    (gateway.name === key
      ? undefined
      : { app: gateway.name, istio: kind === 'IngressGateways' ? 'ingressgateway' : 'egressgateway' });
  const own = clean({ name: gateway.name, namespace, ...(labels !== undefined && { labels }) });
  return {
    component: kind,
    chart: kind === 'IngressGateways' ? 'istio-ingress' : 'istio-egress',
    release: gateway.name,
    namespace,
    values: mergeValues(valuesFor(spec, gateway), { gateways: { [key]: own } }),
    k8s: gateway.k8s,
    deployment: gateway.name,
  };
}

/** The charts that an installation consists of. Raises OperatorError for parts that are not built yet. */
export function chartUses(spec: InstallSpec): readonly ChartUse[] {
  const components = spec.components ?? {};
  const namespace = spec.namespace ?? 'istio-system';
  if (components.cni?.enabled)
    throw new OperatorError(
      'components.cni: the CNI plugin is not built yet; without it an init container in each pod sets the interception rules, which needs no further setting',
    );
  if (components.ztunnel?.enabled)
    throw new OperatorError(
      'components.ztunnel: ambient mode is not built yet; use a profile with sidecars (default, demo, minimal)',
    );
  const uses: ChartUse[] = [];
  if (components.base?.enabled)
    uses.push({
      component: 'Base',
      chart: 'base',
      release: 'istio-base',
      namespace,
      values: valuesFor(spec, components.base),
      k8s: undefined,
      deployment: '',
    });
  if (components.pilot?.enabled) {
    const suffix = spec.revision && spec.revision !== 'default' ? `-${spec.revision}` : '';
    uses.push({
      component: 'Pilot',
      chart: 'istiod',
      release: `istiod${suffix}`,
      namespace: components.pilot.namespace ?? namespace,
      values: valuesFor(spec, components.pilot),
      k8s: components.pilot.k8s,
      deployment: `istiod${suffix}`,
    });
  }
  for (const gateway of components.egressGateways ?? [])
    if (gateway.enabled) uses.push(gatewayUse(spec, gateway, 'EgressGateways'));
  for (const gateway of components.ingressGateways ?? [])
    if (gateway.enabled) uses.push(gatewayUse(spec, gateway, 'IngressGateways'));
  return uses;
}
