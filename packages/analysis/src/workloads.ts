import { fields, list, text, textMap } from '@istio-ts/mesh/kubernetes/read';
import type { ConfigObject } from './config-object.ts';
import type { AnalysisContext } from './context.ts';
import type { InputKind } from './input-kinds.ts';

/** Kinds whose template makes pods. */
export const templateKinds = ['Deployment', 'StatefulSet', 'DaemonSet', 'ReplicaSet', 'Job', 'CronJob'] as const;

/** What an analyzer that asks for workloads must name among its inputs. From a cluster only the pods are read. */
export const workloadInputs: readonly InputKind[] = ['Pod', ...templateKinds];

/** A pod, or the pods that an object of a file will make. */
export interface Workload {
  readonly object: ConfigObject;
  readonly namespace: string;
  /** Name of the pod, or of the object that makes it. */
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  /** Its pod spec, as it is written. */
  readonly spec: Readonly<Record<string, unknown>>;
  /** Path of the pod spec in the object: `spec` for a pod. */
  readonly specPath: string;
  readonly phase: string;
}

export function workloadsOf(context: AnalysisContext): readonly Workload[] {
  const pods = context.objects('Pod').map(
    (object): Workload => ({
      object,
      namespace: object.namespace,
      name: object.name,
      labels: object.labels,
      annotations: object.annotations,
      spec: fields(object.object.spec),
      specPath: 'spec',
      phase: text(fields(object.object.status).phase),
    }),
  );
  const templates = templateKinds.flatMap((kind) =>
    context
      .objects(kind)
      // Pods of a cluster's own workloads are there already.
      .filter((object) => object.source !== undefined)
      .map(templateOf),
  );
  return [...pods, ...templates];
}

/** The pods that a workload object makes. */
export function templateOf(object: ConfigObject): Workload {
  const spec = fields(object.object.spec);
  const cron = object.kind === 'CronJob';
  const template = fields(cron ? fields(fields(spec.jobTemplate).spec).template : spec.template);
  const metadata = fields(template.metadata);
  return {
    object,
    namespace: object.namespace,
    name: object.name,
    labels: textMap(metadata.labels),
    annotations: textMap(metadata.annotations),
    spec: fields(template.spec),
    specPath: cron ? 'spec.jobTemplate.spec.template.spec' : 'spec.template.spec',
    phase: '',
  };
}

/** Containers of a workload, with the path of each. */
export function containersOf(
  workload: Workload,
): readonly { readonly container: Readonly<Record<string, unknown>>; readonly path: string }[] {
  return ['containers', 'initContainers'].flatMap((field) =>
    list(workload.spec[field]).map((container, index) => ({
      container: fields(container),
      path: `${workload.specPath}.${field}[${index}]`,
    })),
  );
}

/** Whether another object made this one, as a Deployment makes its ReplicaSets: what is wrong with it is said of its maker. */
export const isOwned = ({ object }: ConfigObject): boolean =>
  (object.metadata.ownerReferences ?? []).some(({ controller }) => controller === true);
