import type { Analyzer } from '../analyzer.ts';
import type { ConfigObject } from '../config-object.ts';

const routes = ['HTTPRoute', 'GRPCRoute', 'TLSRoute', 'TCPRoute'] as const;

interface ParentReference {
  readonly kind?: unknown;
  readonly name?: unknown;
  readonly namespace?: unknown;
}

const specOf = ({ object }: ConfigObject): Readonly<Record<string, unknown>> =>
  typeof object.spec === 'object' && object.spec !== null ? (object.spec as Readonly<Record<string, unknown>>) : {};

/** Whether a Gateway asks for one of Istio's classes; those of others are others' work. */
const isOurs = (gateway: ConfigObject): boolean => /^istio(-|$)/.test(String(specOf(gateway).gatewayClassName ?? ''));

function parentsOf(route: ConfigObject): readonly ParentReference[] {
  const { parentRefs } = specOf(route);
  return Array.isArray(parentRefs) ? parentRefs.filter((parent) => typeof parent === 'object' && parent !== null) : [];
}

/** Objects of the Gateway API that are meant for istiod, which does not translate them yet: nobody should wait for their effect. */
export const gatewayApiUntranslated: Analyzer = {
  name: 'gateway.APIUntranslatedAnalyzer',
  description: 'Checks for objects of the Gateway API, which have no effect yet',
  inputs: ['KubernetesGateway', ...routes],
  run: (context) => {
    const report = (object: ConfigObject, instead: string, path: string) =>
      context.report(
        object,
        'SchemaWarning',
        { err: `istiod does not translate the Gateway API yet, so this has no effect; use ${instead}` },
        path,
      );
    const gateways = context.objects('KubernetesGateway').filter(isOurs);
    const ours = new Set(gateways.map(({ namespace, name }) => `${namespace}/${name}`));
    for (const gateway of gateways)
      report(gateway, 'a Gateway of networking.istio.io and a gateway of the profile', 'spec.gatewayClassName');
    for (const kind of routes)
      for (const route of context.objects(kind)) {
        const at = parentsOf(route).findIndex(
          ({ kind: parent = 'Gateway', name, namespace = route.namespace }) =>
            parent === 'Service' || (parent === 'Gateway' && ours.has(`${namespace}/${name}`)),
        );
        if (at >= 0) report(route, 'a VirtualService', `spec.parentRefs[${at}]`);
      }
  },
};
