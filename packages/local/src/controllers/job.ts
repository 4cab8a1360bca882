import { KubeApiError, type KubeClient } from '@istio-ts/kube';
import type { EventRecorder } from './events.ts';
import type { Informer } from './informer.ts';
import { type Condition, JOBS, type Job, keyOf, nameOf, namespaceOf, type Pod, uidOf } from './kinds.ts';
import { isActive, isReady, type PodControl, writeStatus } from './pod-control.ts';
import { createWorkQueue, type WorkQueue } from './work-queue.ts';

const INDEX = 'batch.kubernetes.io/job-completion-index';
const BACKOFF = { first: 10_000, max: 360_000 };

/** Runs pods of Jobs until enough of them have succeeded (Kubernetes, "Jobs"). */
export function startJobs(
  client: KubeClient,
  jobs: Informer<Job>,
  control: PodControl,
  events: EventRecorder,
  onError: (key: string, error: Error) => void,
): WorkQueue {
  /** Jobs whose selector was asked for once; an API server that sets or refuses it is not asked again. */
  const refusesSelector = new Set<string>();
  const queue = createWorkQueue({ reconcile, onError });
  jobs.onChange(({ object }) => queue.add(keyOf(object)));
  control.onOwner('Job', (key) => queue.add(key));

  async function reconcile(key: string): Promise<void> {
    const job = jobs.byKey(key);
    if (job === undefined || job.metadata.deletionTimestamp !== undefined) return;
    if (job.spec.selector === undefined && !refusesSelector.has(uidOf(job))) {
      // kubectl finds the pods of a Job by its selector.
      refusesSelector.add(uidOf(job));
      await client.patch(JOBS, nameOf(job), namespaceOf(job), 'merge', {
        spec: { selector: { matchLabels: { 'batch.kubernetes.io/controller-uid': uidOf(job) } } },
      });
      return;
    }
    const finished = finishedCondition(job);
    if (finished !== undefined) {
      await expire(job, finished);
      return;
    }
    if (job.status?.startTime === undefined && job.spec.suspend !== true) {
      await writeStatus(client, JOBS, job, { startTime: time() });
    }
    const owned = control.owned(uidOf(job));
    const succeeded = owned.filter((pod) => pod.status?.phase === 'Succeeded');
    const failed = owned.filter((pod) => pod.status?.phase === 'Failed');
    const active = owned.filter(isActive);
    const { parallelism = 1, backoffLimit = 6, suspend } = job.spec;
    const indexed = job.spec.completionMode === 'Indexed';
    const completions = job.spec.completions;
    const doneIndexes = new Set(succeeded.map((pod) => pod.metadata.annotations?.[INDEX]));
    const done = indexed ? doneIndexes.size : succeeded.length;
    // Failures inside pods that restart their containers count too.
    const restarts = active.reduce(
      (sum, pod) => sum + (pod.status?.containerStatuses ?? []).reduce((count, item) => count + item.restartCount, 0),
      0,
    );
    const counts = {
      active: active.length,
      ready: active.filter(isReady).length,
      succeeded: done,
      failed: failed.length,
    };
    const complete = completions === undefined ? succeeded.length > 0 && active.length === 0 : done >= completions;
    if (complete) {
      for (const pod of active) await control.delete(job, pod);
      events.record(job, 'Normal', 'Completed', 'Job completed');
      await finish(job, counts, 'Complete', 'CompletionsReached', 'Reached expected number of succeeded pods');
      return;
    }
    const deadline = job.spec.activeDeadlineSeconds;
    const begun = Date.parse(job.status?.startTime ?? time());
    const late = deadline !== undefined && begun + deadline * 1000 <= Date.now();
    if (failed.length + restarts > backoffLimit || late) {
      for (const pod of active) await control.delete(job, pod);
      const [reason, message] = late
        ? ['DeadlineExceeded', 'Job was active longer than specified deadline']
        : ['BackoffLimitExceeded', 'Job has reached the specified backoff limit'];
      events.record(job, 'Warning', reason ?? '', message ?? '');
      await finish(job, counts, 'Failed', reason ?? '', message ?? '');
      return;
    }
    if (deadline !== undefined) queue.addAfter(key, begun + deadline * 1000 - Date.now() + 50);
    if (suspend === true) {
      for (const pod of active) await control.delete(job, pod);
    } else if (control.pending(uidOf(job))) queue.addAfter(key, 500);
    else {
      const wait = backoff(failed);
      if (wait > 0) queue.addAfter(key, wait);
      else {
        const limit =
          completions === undefined
            ? succeeded.length > 0
              ? 0
              : parallelism
            : Math.min(parallelism, completions - done);
        const taken = new Set(active.map((pod) => pod.metadata.annotations?.[INDEX]));
        const missing = limit - active.length;
        let next = 0;
        for (let count = 0; count < missing; count++) {
          if (!indexed) {
            await control.create(job, job.spec.template, { labels: jobLabels(job) });
            continue;
          }
          while (taken.has(String(next)) || doneIndexes.has(String(next))) next += 1;
          taken.add(String(next));
          await control.create(job, withIndex(job.spec.template, next), {
            labels: { ...jobLabels(job), [INDEX]: String(next) },
            annotations: { [INDEX]: String(next) },
            spec: { hostname: `${nameOf(job)}-${next}` },
          });
        }
        for (const pod of active.slice(0, Math.max(0, -missing))) await control.delete(job, pod);
      }
    }
    await writeStatus(client, JOBS, job, counts);
  }

  async function finish(
    job: Job,
    counts: Readonly<Record<string, number>>,
    type: 'Complete' | 'Failed',
    reason: string,
    message: string,
  ): Promise<void> {
    const now = time();
    const conditions: Condition[] = [
      ...(job.status?.conditions ?? []),
      { type, status: 'True', reason, message, lastTransitionTime: now },
    ];
    await writeStatus(client, JOBS, job, {
      ...counts,
      active: 0,
      ready: 0,
      conditions,
      ...(type === 'Complete' ? { completionTime: now } : {}),
    });
  }

  async function expire(job: Job, condition: Condition): Promise<void> {
    const ttl = job.spec.ttlSecondsAfterFinished;
    if (ttl === undefined) return;
    const at = Date.parse(condition.lastTransitionTime ?? time()) + ttl * 1000;
    if (at > Date.now()) queue.addAfter(keyOf(job), at - Date.now());
    else {
      try {
        await client.delete(JOBS, nameOf(job), namespaceOf(job), { propagationPolicy: 'Background' });
      } catch (error) {
        if (!(error instanceof KubeApiError && error.status === 404)) throw error;
      }
    }
  }

  return queue;
}

export function finishedCondition(job: Job): Condition | undefined {
  return job.status?.conditions?.find(
    ({ type, status }) => (type === 'Complete' || type === 'Failed') && status === 'True',
  );
}

function jobLabels(job: Job): Record<string, string> {
  return {
    'job-name': nameOf(job),
    'batch.kubernetes.io/job-name': nameOf(job),
    'controller-uid': uidOf(job),
    'batch.kubernetes.io/controller-uid': uidOf(job),
  };
}

function withIndex(template: Job['spec']['template'], index: number): Job['spec']['template'] {
  const containers = template.spec.containers.map((container) => ({
    ...container,
    env: [...(container.env ?? []), { name: 'JOB_COMPLETION_INDEX', value: String(index) }],
  }));
  return { ...template, spec: { ...template.spec, containers } };
}

/** Milliseconds to wait after failures: 10 s, 20 s, 40 s, ... since the last one. */
function backoff(failed: readonly Pod[]): number {
  if (failed.length === 0) return 0;
  const ends = failed.map((pod) =>
    Math.max(
      0,
      ...(pod.status?.containerStatuses ?? []).map((item) => Date.parse(item.state?.terminated?.finishedAt ?? '') || 0),
    ),
  );
  const delay = Math.min(BACKOFF.max, BACKOFF.first * 2 ** (failed.length - 1));
  return Math.max(...ends) + delay - Date.now();
}

function time(): string {
  return `${new Date().toISOString().slice(0, 19)}Z`;
}
