import { type Kind, kinds } from '@istio-ts/api/kinds';
import { fields, list, text } from '@istio-ts/mesh/kubernetes/read';
import type { Analyzer } from '../analyzer.ts';
import type { InputKind } from '../input-kinds.ts';

const observed: readonly InputKind[] = [
  ...kinds.map(({ kind }) => kind as Kind),
  'KubernetesGateway',
  'GatewayClass',
  'HTTPRoute',
  'GRPCRoute',
  'TLSRoute',
  'TCPRoute',
];
/** Conditions that say something good when they are true. */
const positive = new Set(['Accepted', 'Programmed', 'ResolvedRefs', 'Reconciled', 'Ready', 'WaypointBound']);

/** Objects whose status says that something is wrong. */
export const conditions: Analyzer = {
  name: 'conditions.ConditionAnalyzer',
  description: 'Repeats what the status of an object says is wrong with it',
  inputs: observed,
  eachAlone: true,
  run: (context) => {
    for (const kind of observed)
      for (const object of context.objects(kind)) {
        // What is in a file was not looked at by a controller.
        if (object.source !== undefined) continue;
        const status = fields(object.object.status);
        const own = list(status.conditions).map((item, index) => ({ item, path: `status.conditions[${index}]` }));
        const ofParents = list(status.parents).flatMap((parent, at) =>
          list(fields(parent).conditions).map((item, index) => ({
            item,
            path: `status.parents[${at}].conditions[${index}]`,
          })),
        );
        for (const { item, path } of [...own, ...ofParents]) {
          const condition = fields(item);
          const conditionType = text(condition.type);
          if (condition.status !== 'False' || !positive.has(conditionType)) continue;
          const args = { conditionType, reason: text(condition.reason), message: text(condition.message) };
          context.report(object, 'NegativeConditionStatus', args, path);
        }
      }
  },
};
