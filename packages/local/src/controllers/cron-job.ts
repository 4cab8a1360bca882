import { KubeApiError, type KubeClient } from '@istio-ts/kube';
import { nextTime, parseSchedule } from './cron-schedule.ts';
import type { EventRecorder } from './events.ts';
import type { Informer } from './informer.ts';
import { finishedCondition } from './job.ts';
import { CRON_JOBS, type CronJob, controllerOf, JOBS, type Job, keyOf, nameOf, namespaceOf, uidOf } from './kinds.ts';
import { ownerReference, writeStatus } from './pod-control.ts';
import { createWorkQueue, type WorkQueue } from './work-queue.ts';

/** Makes Jobs by the clock (Kubernetes, "CronJob"). */
export function startCronJobs(
  client: KubeClient,
  cronJobs: Informer<CronJob>,
  jobs: Informer<Job>,
  events: EventRecorder,
  onError: (key: string, error: Error) => void,
): WorkQueue {
  const queue = createWorkQueue({ reconcile, onError });
  cronJobs.onChange(({ object }) => queue.add(keyOf(object)));
  jobs.onChange(({ object }) => {
    const owner = controllerOf(object);
    if (owner?.kind === 'CronJob') queue.add(`${namespaceOf(object)}/${owner.name}`);
  });

  async function reconcile(key: string): Promise<void> {
    const cron = cronJobs.byKey(key);
    if (cron === undefined || cron.metadata.deletionTimestamp !== undefined) return;
    const owned = jobs.list(namespaceOf(cron)).filter((job) => controllerOf(job)?.uid === uidOf(cron));
    const active = owned.filter((job) => finishedCondition(job) === undefined);
    await dropHistory(cron, owned);
    let schedule: ReturnType<typeof parseSchedule>;
    try {
      schedule = parseSchedule(cron.spec.schedule);
    } catch (error) {
      events.record(cron, 'Warning', 'UnparseableSchedule', error instanceof Error ? error.message : String(error));
      return;
    }
    const last = new Date(cron.status?.lastScheduleTime ?? cron.metadata.creationTimestamp ?? Date.now());
    const zone = cron.spec.timeZone ?? 'UTC';
    let lastScheduleTime = cron.status?.lastScheduleTime;
    if (cron.spec.suspend !== true) {
      // Of several missed times only the latest is made up for.
      let due = nextTime(schedule, last, zone);
      for (let tries = 0; due !== undefined && tries < 1000; tries++) {
        const after = nextTime(schedule, due, zone);
        if (after === undefined || after.getTime() > Date.now()) break;
        due = after;
      }
      if (due !== undefined && due.getTime() <= Date.now()) {
        const late = cron.spec.startingDeadlineSeconds;
        const missed = late !== undefined && due.getTime() + late * 1000 < Date.now();
        const forbidden = cron.spec.concurrencyPolicy === 'Forbid' && active.length > 0;
        if (!missed && !forbidden) {
          if (cron.spec.concurrencyPolicy === 'Replace') {
            for (const job of active) await remove(job);
          }
          await create(cron, due);
        }
        lastScheduleTime = `${due.toISOString().slice(0, 19)}Z`;
      }
      const next = nextTime(schedule, new Date(), zone);
      if (next !== undefined) queue.addAfter(key, next.getTime() - Date.now() + 20);
    }
    const successes = owned.map((job) => job.status?.completionTime).filter((time) => time !== undefined);
    await writeStatus(client, CRON_JOBS, cron, {
      active: active.map((job) => ({
        apiVersion: 'batch/v1',
        kind: 'Job',
        namespace: namespaceOf(job),
        name: nameOf(job),
        uid: uidOf(job),
      })),
      lastScheduleTime,
      lastSuccessfulTime: successes.sort().at(-1) ?? cron.status?.lastSuccessfulTime,
    });
  }

  async function create(cron: CronJob, due: Date): Promise<void> {
    const { jobTemplate } = cron.spec;
    const name = `${nameOf(cron).slice(0, 52)}-${Math.floor(due.getTime() / 60_000)}`;
    try {
      await client.create(JOBS, {
        apiVersion: 'batch/v1',
        kind: 'Job',
        metadata: {
          ...jobTemplate.metadata,
          name,
          namespace: namespaceOf(cron),
          annotations: {
            ...jobTemplate.metadata?.annotations,
            'batch.kubernetes.io/cronjob-scheduled-timestamp': `${due.toISOString().slice(0, 19)}Z`,
          },
          ownerReferences: [ownerReference(cron)],
        },
        spec: jobTemplate.spec,
      });
      events.record(cron, 'Normal', 'SuccessfulCreate', `Created job ${name}`);
    } catch (error) {
      if (!(error instanceof KubeApiError && error.status === 409)) throw error;
    }
  }

  async function dropHistory(cron: CronJob, owned: readonly Job[]): Promise<void> {
    const limits = {
      Complete: cron.spec.successfulJobsHistoryLimit ?? 3,
      Failed: cron.spec.failedJobsHistoryLimit ?? 1,
    };
    for (const [type, limit] of Object.entries(limits)) {
      const finished = owned
        .filter((job) => finishedCondition(job)?.type === type && job.metadata.deletionTimestamp === undefined)
        .sort((a, b) => ((a.metadata.creationTimestamp ?? '') < (b.metadata.creationTimestamp ?? '') ? -1 : 1));
      for (const job of finished.slice(0, Math.max(0, finished.length - limit))) await remove(job);
    }
  }

  async function remove(job: Job): Promise<void> {
    try {
      await client.delete(JOBS, nameOf(job), namespaceOf(job), { propagationPolicy: 'Background' });
    } catch (error) {
      if (!(error instanceof KubeApiError && error.status === 404)) throw error;
    }
  }

  return queue;
}
