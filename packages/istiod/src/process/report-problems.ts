import { istioTypes } from '@istio-ts/api/resource-types';
import type { KubeClient, KubeObject } from '@istio-ts/kube';
import type { Mesh, Problem } from '@istio-ts/mesh';
import type { MetricsRegistry } from '@istio-ts/metrics';
import { createConfigStatusWriter } from '../controllers/config-status.ts';
import type { Logger } from '../log.ts';
import { claimedBefore, reportForeignHosts } from './report-foreign-hosts.ts';

const typeOf = (kind: string) => (istioTypes as Readonly<Record<string, (typeof istioTypes)['VirtualService']>>)[kind];

/** Whether an object's status tells of something that an istiod found wrong. */
export const wasRefused = (object: KubeObject): boolean => notAccepted(object) || claimedBefore(object);

function notAccepted(object: KubeObject): boolean {
  const status = object.status as { readonly conditions?: unknown } | undefined;
  const conditions = Array.isArray(status?.conditions) ? status.conditions : [];
  return (
    typeOf(object.kind) !== undefined &&
    conditions.some((condition) => condition?.type === 'Accepted' && condition?.status === 'False')
  );
}

/**
 * Tells people about objects that are ignored: a log line, the metric `pilot_total_rejected_configs`, and a condition in the object's status, which
 * is taken back when the object is mended.
 */
export function reportProblems(
  mesh: Mesh,
  client: KubeClient,
  metrics: MetricsRegistry,
  log: Logger,
): { readonly recheck: (object: KubeObject) => void; readonly close: () => void } {
  const rejected = metrics.counter(
    'pilot_total_rejected_configs',
    'Total number of configs that Pilot had to reject or ignore.',
  );
  const statuses = createConfigStatusWriter(client, () => new Date(), log);

  const write = (key: string): void => {
    const [kind = '', namespace = '', name = ''] = key.split('/');
    const type = typeOf(kind);
    if (!type) return;
    statuses.write(type, { namespace, name }, () =>
      (mesh.problems.get(key) ?? []).map(({ path, message, onlyPart }) => ({
        severity: 'error',
        path,
        message,
        ...(onlyPart && { onlyPart }),
      })),
    );
  };
  const tell = (problems: readonly Problem[]): void => {
    for (const { origin, path, message, lastGoodStays, onlyPart } of problems) {
      log.error(
        `${origin.kind} ${origin.namespace}/${origin.name} is ${onlyPart ? 'in force, but not with everything in it' : lastGoodStays ? 'ignored, its last valid version stays in force' : 'ignored'}: ${path}: ${message}`,
      );
      rejected.add({ type: origin.kind, name: `${origin.namespace}/${origin.name}` });
    }
  };
  const foreignHosts = reportForeignHosts(mesh, client, log);
  const end = mesh.problems.subscribe((changes) => {
    for (const { key, after } of changes) {
      if (after) tell(after);
      write(key);
    }
  });
  for (const [key, problems] of mesh.problems.entries()) {
    tell(problems);
    write(key);
  }
  return {
    // An object that was refused by an earlier istiod and mended while none ran.
    recheck: (object) => {
      foreignHosts.recheck(object);
      if (!notAccepted(object)) return;
      const key = `${object.kind}/${object.metadata.namespace ?? ''}/${object.metadata.name ?? ''}`;
      setImmediate(() => {
        if (!mesh.problems.has(key)) write(key);
      });
    },
    close: () => {
      end();
      foreignHosts.close();
      statuses.close();
    },
  };
}
