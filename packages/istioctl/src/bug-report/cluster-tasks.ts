import { istioTypes, kubernetesTypes } from '@istio-ts/api/resource-types';
import { isNotFound, type KubeClient, type KubeObject, type ResourceType } from '@istio-ts/kube';
import { dump } from 'js-yaml';
import { type PodFilter, selects } from './filter.ts';
import { redactEnvironment, redactSecret } from './redact.ts';
import type { BugReportSettings } from './settings.ts';
import type { Task } from './task.ts';

const yaml = (objects: readonly KubeObject[]): string =>
  objects.map((object) => `---\n${dump(object, { lineWidth: -1, noRefs: true })}`).join('');

/** Kinds of the Gateway API and of the operator, which need not be installed. */
const optionalKinds: readonly (readonly [apiVersion: string, kind: string])[] = [
  ['gateway.networking.k8s.io/v1', 'GatewayClass'],
  ['gateway.networking.k8s.io/v1', 'Gateway'],
  ['gateway.networking.k8s.io/v1', 'HTTPRoute'],
  ['gateway.networking.k8s.io/v1', 'GRPCRoute'],
  ['gateway.networking.k8s.io/v1beta1', 'ReferenceGrant'],
  ['install.istio.io/v1alpha1', 'IstioOperator'],
];

const clusterKinds = ['Node', 'Namespace', 'MutatingWebhookConfiguration', 'ValidatingWebhookConfiguration'] as const;
const workloadKinds = [
  'Pod',
  'Service',
  'EndpointSlice',
  'Deployment',
  'ReplicaSet',
  'StatefulSet',
  'DaemonSet',
  'HorizontalPodAutoscaler',
  'PodDisruptionBudget',
  'Ingress',
  'ServiceAccount',
  'ConfigMap',
] as const;

/** Whether anything of a namespace may belong into the report. */
export function namespaceSelected(
  filters: { readonly include: readonly PodFilter[]; readonly exclude: readonly PodFilter[] },
  namespace: string,
): boolean {
  const only = (filter: PodFilter): PodFilter => ({
    ...filter,
    deployments: [],
    pods: [],
    labels: [],
    annotations: [],
    containers: [],
  });
  // An exclude that names more than namespaces leaves the rest of them in.
  const whole = filters.exclude.filter((filter) => JSON.stringify(filter) === JSON.stringify(only(filter)));
  return selects(
    { include: filters.include.map(only), exclude: whole },
    { namespace, deployment: '', pod: '', labels: {}, annotations: {}, container: '' },
  );
}

/** Files about the cluster: its version, nodes, and the objects of the namespaces that were selected. */
export function clusterTasks(
  client: KubeClient,
  namespaces: ReadonlySet<string>,
  settings: BugReportSettings,
): readonly Task[] {
  const inReport = ({ metadata }: KubeObject) => metadata.namespace === undefined || namespaces.has(metadata.namespace);
  const listed = (
    file: string,
    type: ResourceType,
    change: (object: KubeObject) => KubeObject = redactEnvironment,
  ): Task => ({
    file,
    what: `objects of kind ${type.kind}`,
    run: async () => {
      const { items } = await client.list(type, { dropManagedFields: true });
      const objects = items.filter(inReport);
      return objects.length === 0 ? undefined : { content: yaml(objects.map(change)) };
    },
  });
  const version: Task = {
    file: 'cluster/version.json',
    what: 'version of the API server',
    run: async () => ({ content: `${JSON.stringify(await client.request('GET', '/version'), null, 2)}\n` }),
  };
  const definitions: Task = {
    file: 'cluster/custom-resource-definitions.txt',
    what: 'names and versions of the custom resource definitions',
    run: async () => {
      const { items } = await client.list(kubernetesTypes.CustomResourceDefinition, { dropManagedFields: true });
      const lines = items.map(({ metadata, spec }) => {
        const { versions = [] } = (spec ?? {}) as { readonly versions?: readonly { readonly name: string }[] };
        return `${metadata.name} ${versions.map(({ name }) => name).join(',')} (${metadata.creationTimestamp})\n`;
      });
      return { content: lines.sort().join('') };
    },
  };
  const secrets = listed('cluster/secrets.yaml', kubernetesTypes.Secret, (object) =>
    settings.fullSecrets ? object : redactSecret(object),
  );
  const istio = Object.values(istioTypes).map((type) => optional(listed(`config/${type.resource}.yaml`, type)));
  const others = optionalKinds.map(([apiVersion, kind]): Task => {
    const file = `config/${kind.toLowerCase()}s.${apiVersion.split('/')[0]}.yaml`;
    return optional({
      file,
      what: `objects of kind ${kind} of ${apiVersion}`,
      run: async () => listed(file, await client.resolve(apiVersion, kind)).run(),
    });
  });
  const config = [...istio, ...others];
  if (settings.skip.clusterDump) return [version, ...config];
  return [
    version,
    definitions,
    ...clusterKinds.map((kind) => listed(`cluster/${kubernetesTypes[kind].resource}.yaml`, kubernetesTypes[kind])),
    ...workloadKinds.map((kind) => listed(`cluster/${kubernetesTypes[kind].resource}.yaml`, kubernetesTypes[kind])),
    events(client, namespaces, settings),
    secrets,
    ...config,
  ];
}

/** A kind that is not installed is no failure. */
function optional(task: Task): Task {
  return {
    ...task,
    run: () =>
      task.run().catch((error: unknown) => {
        if (isNotFound(error)) return undefined;
        throw error;
      }),
  };
}

function events(client: KubeClient, namespaces: ReadonlySet<string>, settings: BugReportSettings): Task {
  return {
    file: 'cluster/events.txt',
    what: 'events, oldest first',
    run: async () => {
      const { items } = await client.list(kubernetesTypes.Event, { dropManagedFields: true });
      const rows = items
        .filter(({ metadata }) => namespaces.has(metadata.namespace ?? ''))
        .map((event) => {
          const { lastTimestamp, eventTime, type, reason, message, count } = event as Readonly<Record<string, unknown>>;
          const about = (event.involvedObject ?? {}) as { readonly kind?: string; readonly name?: string };
          const when = String(lastTimestamp ?? eventTime ?? event.metadata.creationTimestamp ?? '');
          return {
            when,
            line: `${when}\t${event.metadata.namespace}\t${String(type)}\t${String(reason)}\t${about.kind}/${about.name}\t${String(message)}${Number(count) > 1 ? ` (${String(count)} times)` : ''}\n`,
          };
        })
        .filter(
          ({ when }) =>
            Date.parse(when) <= settings.end.getTime() && (!settings.start || new Date(when) >= settings.start),
        )
        .sort((a, b) => (a.when < b.when ? -1 : 1));
      return rows.length === 0 ? undefined : { content: rows.map(({ line }) => line).join('') };
    },
  };
}
