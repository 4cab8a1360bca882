import { isJsonObject, type JsonObject, mergeValues } from '@istio-ts/charts';
import { OperatorError } from './failure.ts';
import { type Component, type GatewayComponent, type InstallSpec, mergeSpec } from './spec.ts';

/** The parts that an installation may have, in the order in which they are installed; the label operator.istio.io/component has the first name. */
export const componentTitles = {
  Base: { title: 'Istio core', done: 'Istio core installed' },
  Pilot: { title: 'Istiod', done: 'Istiod installed' },
  Cni: { title: 'CNI', done: 'CNI installed' },
  Ztunnel: { title: 'Ztunnel', done: 'Ztunnel installed' },
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
  /** Name of the Deployment or DaemonSet that `k8s` is about. */
  readonly workload: string;
  /** Where `k8s` stands in the settings, for messages. */
  readonly path: string;
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
  const cni = spec.components?.cni?.enabled === true;
  const top = clean({
    global: mergeValues(global, own),
    ...(spec.revision !== undefined && { revision: spec.revision }),
    ...(spec.meshConfig !== undefined && { meshConfig: spec.meshConfig }),
    ...(spec.compatibilityVersion !== undefined && { compatibilityVersion: spec.compatibilityVersion }),
    // Where the plugin sets the interception rules, pods need no init container that does.
    ...(cni && { istio_cni: { enabled: true }, pilot: { cni: { enabled: true } } }),
  });
  // What the user said below `values` wins over what follows from the other settings, except for the mesh configuration, which is merged.
  // A null stays, because it takes a default of the chart away.
  const values = mergeSpec(mergeSpec(top, spec.values ?? {}), spec.unvalidatedValues ?? {});
  return spec.defaultRevision === undefined ? values : mergeSpec(values, { defaultRevision: spec.defaultRevision });
}

/** Nothing where it is empty, or, with `--force`, a mistake. */
const k8sOf = ({ k8s }: Component): JsonObject | undefined => (isJsonObject(k8s) ? k8s : undefined);

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
    values: mergeSpec(valuesFor(spec, gateway), { gateways: { [key]: own } }),
    k8s: k8sOf(gateway),
    workload: gateway.name,
    path: `components.${kind === 'IngressGateways' ? 'ingressGateways' : 'egressGateways'}[name:${gateway.name}].k8s`,
  };
}

/** With `--force` mistakes get this far. */
const gatewaysOf = (list: readonly GatewayComponent[] | undefined): readonly GatewayComponent[] =>
  Array.isArray(list) ? list.filter((gateway) => typeof gateway === 'object' && gateway !== null) : [];

/** The charts that an installation consists of. */
export function chartUses(spec: InstallSpec): readonly ChartUse[] {
  const components = spec.components ?? {};
  const namespace = spec.namespace ?? 'istio-system';
  const suffix = spec.revision && spec.revision !== 'default' ? `-${spec.revision}` : '';
  /** What a component needs that there is at most one of. */
  const single = (
    key: 'base' | 'pilot' | 'cni' | 'ztunnel',
    names: Pick<ChartUse, 'component' | 'chart' | 'release' | 'workload'>,
  ): readonly ChartUse[] => {
    const component = components[key];
    if (!component?.enabled) return [];
    return [
      {
        ...names,
        namespace: component.namespace ?? namespace,
        values: valuesFor(spec, component),
        k8s: k8sOf(component),
        path: `components.${key}.k8s`,
      },
    ];
  };
  const uses: ChartUse[] = [
    ...single('base', { component: 'Base', chart: 'base', release: 'istio-base', workload: '' }),
    ...single('pilot', {
      component: 'Pilot',
      chart: 'istiod',
      release: `istiod${suffix}`,
      workload: `istiod${suffix}`,
    }),
    ...single('cni', { component: 'Cni', chart: 'cni', release: 'istio-cni', workload: 'istio-cni-node' }),
    ...single('ztunnel', { component: 'Ztunnel', chart: 'ztunnel', release: 'ztunnel', workload: 'ztunnel' }),
  ];
  for (const gateway of gatewaysOf(components.egressGateways))
    if (gateway.enabled) uses.push(gatewayUse(spec, gateway, 'EgressGateways'));
  for (const gateway of gatewaysOf(components.ingressGateways))
    if (gateway.enabled) uses.push(gatewayUse(spec, gateway, 'IngressGateways'));
  return uses;
}

/** Refuses to install (not to generate) what cannot work yet. Raises OperatorError. */
export function refuseUnbuilt(spec: InstallSpec): void {
  if (spec.components?.ztunnel?.enabled)
    throw new OperatorError(
      'components.ztunnel: the proxy of ambient mode is not built yet, so its pods would never become ready; use a profile with sidecars (default, demo, minimal), or --set components.ztunnel.enabled=false. istioctl manifest generate prints the objects.',
    );
}
