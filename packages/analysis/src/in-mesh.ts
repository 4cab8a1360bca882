import type { AnalysisContext } from './context.ts';
import { namespaceChoice, podChoice } from './injection.ts';
import type { Workload } from './workloads.ts';

/** Whether pods of a workload get a sidecar, by their own word and that of their namespace. Needs the input `Namespace`. */
export function isInjected(context: AnalysisContext, workload: Workload): boolean {
  const namespace = context.find('Namespace', '', workload.namespace);
  const byNamespace = namespace ? namespaceChoice(namespace) : 'nothing';
  const own = podChoice(workload);
  if (byNamespace === 'refuse' || own === false) return false;
  return own === true || byNamespace === 'inject' || (workload.labels['istio.io/rev'] ?? '') !== '';
}
