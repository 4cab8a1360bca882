import type { Pod } from '../controllers/kinds.ts';
import type { Slot } from './slot.ts';

/** Why a pod as a whole has failed. */
export interface PodFailure {
  readonly reason: string;
  readonly message: string;
}

/**
 * Gives the slots of a pod the counts and ends that its status tells of: after a restart of the machine or cluster the containers are gone, their
 * history goes on. Answers with the failure of the whole pod, if it has one. Times are RFC 3339.
 */
export function inheritFromStatus(
  pod: Pod,
  slots: ReadonlyMap<string, Slot>,
  startedAt: string,
  now: string,
): PodFailure | undefined {
  const statuses = [...(pod.status?.initContainerStatuses ?? []), ...(pod.status?.containerStatuses ?? [])];
  const over = pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed';
  const policy = pod.spec.restartPolicy ?? 'Always';
  for (const status of statuses) {
    const slot = slots.get(status.name);
    if (slot === undefined) continue;
    const ended = status.state?.terminated;
    const keep =
      ended !== undefined &&
      slot.kind === 'main' &&
      (policy === 'Never' || (policy === 'OnFailure' && ended.exitCode === 0));
    if (over || keep) {
      slot.attempt = status.restartCount;
      slot.state = status.state ?? {};
      slot.lastState = status.lastState ?? {};
      slot.imageID = status.imageID;
      slot.containerID = status.containerID;
    } else if (status.state?.running !== undefined || ended !== undefined || status.restartCount > 0) {
      slot.attempt = slot.kind === 'init' ? status.restartCount : status.restartCount + 1;
      const lost = {
        exitCode: 255,
        reason: 'Unknown',
        startedAt: status.state?.running?.startedAt ?? startedAt,
        finishedAt: now,
        ...(status.containerID !== undefined && { containerID: status.containerID }),
      };
      slot.lastState = slot.kind === 'init' ? {} : { terminated: ended ?? lost };
    }
  }
  const { reason, message, phase } = pod.status ?? {};
  return reason !== undefined && phase === 'Failed' ? { reason, message: message ?? '' } : undefined;
}
