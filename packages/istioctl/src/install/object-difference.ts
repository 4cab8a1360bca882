import type { KubeObject } from '@istio-ts/kube';
import { differingLeaves, type Step } from './structural-diff.ts';

/** Annotations that Kubernetes' controllers write by themselves. */
const OF_CONTROLLERS: ReadonlySet<string> = new Set([
  'deprecated.daemonset.template.generation',
  'deployment.kubernetes.io/revision',
]);

/** An object without what the API server writes by itself, and its controllers, so that two states of it can be compared. */
function ofUsers(object: KubeObject): Readonly<Record<string, unknown>> {
  const { status: _status, metadata, ...rest } = object;
  const { labels = {}, ownerReferences = [] } = metadata;
  const annotations = Object.fromEntries(
    Object.entries(metadata.annotations ?? {}).filter(([name]) => !OF_CONTROLLERS.has(name)),
  );
  return { ...rest, metadata: { labels, annotations, ownerReferences } };
}

function pathText(steps: readonly Step[]): string {
  let path = '';
  for (const step of steps)
    switch (step.kind) {
      case 'field':
        path += /[./]/.test(step.field) ? `["${step.field}"]` : `${path === '' ? '' : '.'}${step.field}`;
        break;
      case 'item':
        path += `[${step.name}]`;
        break;
      case 'index':
        path += `[${step.index}]`;
    }
  return path;
}

/**
 * The paths of all settings in which two states of an object differ, for example `spec.template.spec.containers[discovery].image`. What only the API server
 * writes (status, versions, who manages what) does not count.
 */
export function differingPaths(before: KubeObject, after: KubeObject): readonly string[] {
  return differingLeaves(ofUsers(before), ofUsers(after), { identifiers: ['name'], unequalAsWhole: true }).map(
    ({ steps }) => pathText(steps),
  );
}
