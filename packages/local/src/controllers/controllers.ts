import type { KubeClient, KubeObject, ResourceType } from '@istio-ts/kube';
import { startAutoscaler } from './autoscaler.ts';
import { startCronJobs } from './cron-job.ts';
import { startDaemonSets } from './daemon-set.ts';
import { startDeployments } from './deployment.ts';
import { startDisruptionBudgets } from './disruption-budget.ts';
import { startEndpoints } from './endpoints.ts';
import { createEventRecorder } from './events.ts';
import { createInformer, type Informer } from './informer.ts';
import { startJobs } from './job.ts';
import * as kinds from './kinds.ts';
import { createPodControl } from './pod-control.ts';
import { startReplicaSets } from './replica-set.ts';
import { startScheduler } from './scheduler.ts';
import { startServiceAccountTokens } from './service-account-token.ts';
import { startStatefulSets } from './stateful-set.ts';
import type { WorkQueue } from './work-queue.ts';

export interface ControllerInputs {
  readonly client: KubeClient;
  readonly pods: Informer<kinds.Pod>;
  readonly services: Informer<kinds.Service>;
  readonly slices: Informer<kinds.EndpointSlice>;
  readonly namespaces: Informer<KubeObject>;
  readonly nodeName: string;
  /** First processes of a pod's containers, for their use of CPU. */
  readonly processes: (pod: kinds.Pod) => readonly { readonly container: string; readonly pid: number }[];
  readonly log: (line: string) => void;
}

const ZONE = 'local-a';

/** Starts all controllers; resolves when they have seen what exists. */
export async function startControllers(inputs: ControllerInputs): Promise<{ readonly close: () => void }> {
  const { client, pods, services, slices, log } = inputs;
  const inform = <T extends KubeObject>(type: ResourceType) =>
    createInformer<T>(client, type, {}, (error) => log(`watch of ${type.resource}: ${error.message}`));
  const failed = (what: string) => (key: string, error: Error) => log(`${what} ${key}: ${error.message}`);
  const recorder = (component: string) => createEventRecorder(client, component, inputs.nodeName, log);

  const replicaSets = inform<kinds.ReplicaSet>(kinds.REPLICA_SETS);
  const deployments = inform<kinds.Deployment>(kinds.DEPLOYMENTS);
  const statefulSets = inform<kinds.StatefulSet>(kinds.STATEFUL_SETS);
  const daemonSets = inform<kinds.DaemonSet>(kinds.DAEMON_SETS);
  const jobs = inform<kinds.Job>(kinds.JOBS);
  const cronJobs = inform<kinds.CronJob>(kinds.CRON_JOBS);
  const nodes = inform<KubeObject>(kinds.NODES);
  const endpoints = inform<KubeObject>(kinds.ENDPOINTS);
  const autoscalers = inform<KubeObject>(kinds.HORIZONTAL_POD_AUTOSCALERS);
  const budgets = inform<KubeObject>(kinds.POD_DISRUPTION_BUDGETS);
  const tokenSecrets = createInformer<KubeObject>(
    client,
    kinds.SECRETS,
    { fieldSelector: 'type=kubernetes.io/service-account-token' },
    (error) => log(`watch of secrets: ${error.message}`),
  );
  const informers = [
    tokenSecrets,
    replicaSets,
    deployments,
    statefulSets,
    daemonSets,
    jobs,
    cronJobs,
    nodes,
    endpoints,
    autoscalers,
    budgets,
  ];
  await Promise.all(informers.map((informer) => informer.synced));

  const control = (component: string) => createPodControl(client, pods, recorder(component));
  const queues: { readonly close: () => void }[] = [
    startScheduler(
      client,
      pods,
      recorder('default-scheduler'),
      { name: inputs.nodeName, labels: () => nodes.get('', inputs.nodeName)?.metadata.labels ?? {} },
      failed('scheduling of'),
    ),
    startEndpoints(client, services, pods, slices, endpoints, ZONE, failed('endpoints of')),
    startReplicaSets(client, replicaSets, pods, control('replicaset-controller'), failed('ReplicaSet')),
    startDeployments(
      client,
      deployments,
      replicaSets,
      control('deployment-controller'),
      recorder('deployment-controller'),
      failed('Deployment'),
    ),
    startStatefulSets(client, statefulSets, control('statefulset-controller'), failed('StatefulSet')),
    startDaemonSets(client, daemonSets, nodes, control('daemonset-controller'), failed('DaemonSet')),
    startJobs(client, jobs, control('job-controller'), recorder('job-controller'), failed('Job')),
    startCronJobs(client, cronJobs, jobs, recorder('cronjob-controller'), failed('CronJob')),
    startServiceAccountTokens(client, tokenSecrets, failed('token of Secret')),
    startDisruptionBudgets(client, budgets, pods, failed('PodDisruptionBudget')),
    startAutoscaler({
      client,
      autoscalers,
      pods,
      processes: inputs.processes,
      events: recorder('horizontal-pod-autoscaler'),
      onError: failed('HorizontalPodAutoscaler'),
    }),
  ] satisfies (WorkQueue | { readonly close: () => void })[];
  return {
    close() {
      for (const queue of queues) queue.close();
      for (const informer of informers) informer.close();
    },
  };
}
