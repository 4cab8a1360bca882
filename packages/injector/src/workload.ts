import { type JsonObject, listAt, objectAt, textMap } from './json.ts';
import type { Workload } from './render.ts';

/** The workload of a pod by its owner: a ReplicaSet made by a Deployment stands for that Deployment, a Job made by a CronJob for itself. */
export function workloadOf(pod: JsonObject, namespace: string): Workload {
  const metadata = objectAt(pod, 'metadata');
  const owner =
    listAt(pod, 'metadata', 'ownerReferences').find((reference) => reference.controller === true) ??
    listAt(pod, 'metadata', 'ownerReferences')[0];
  if (owner === undefined) {
    const name =
      typeof metadata.name === 'string' && metadata.name !== ''
        ? metadata.name
        : String(metadata.generateName ?? '').replace(/-$/, '');
    return { apiVersion: 'v1', kind: 'Pod', name, namespace };
  }
  const { kind, name, apiVersion } = {
    kind: String(owner.kind),
    name: String(owner.name),
    apiVersion: String(owner.apiVersion),
  };
  const hash = textMap(metadata.labels)['pod-template-hash'];
  if (kind === 'ReplicaSet' && hash !== undefined && name.endsWith(`-${hash}`)) {
    return { apiVersion: 'apps/v1', kind: 'Deployment', name: name.slice(0, -hash.length - 1), namespace };
  }
  const cron = kind === 'Job' ? /^(.+)-\d{8,10}$/.exec(name)?.[1] : undefined;
  if (cron !== undefined) return { apiVersion: 'batch/v1', kind: 'CronJob', name: cron, namespace };
  return { apiVersion, kind, name, namespace };
}
