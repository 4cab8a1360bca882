import { nameOf, namespaceOf, type Pod, uidOf } from '../controllers/kinds.ts';
import type { Slot } from './slot.ts';

const CRASH_BACKOFF = { first: 10_000, max: 300_000 };
/** A container that ran this long, in milliseconds, is not crashing any more. */
const STABLE_AFTER = 600_000;

/**
 * Prepares a slot whose container has ended for its next run: counts it, and says how many milliseconds after the end that run may begin. The first
 * restart comes at once, later ones after 10 s, 20 s, 40 s, ... up to 5 min (Kubernetes, "Pod Lifecycle", container restarts).
 */
export function backOff(pod: Pod, slot: Slot): number {
  const { startedAt, finishedAt } = slot.state.terminated ?? {};
  const ended = Date.parse(finishedAt ?? '');
  slot.crashes = ended - Date.parse(startedAt ?? '') > STABLE_AFTER ? 1 : slot.crashes + 1;
  slot.lastState = slot.state;
  slot.attempt += 1;
  const delay = slot.crashes <= 1 ? 0 : Math.min(CRASH_BACKOFF.max, CRASH_BACKOFF.first * 2 ** (slot.crashes - 2));
  slot.notBefore = ended + delay;
  if (delay > 0) {
    const message = `back-off ${formatDelay(delay / 1000)} restarting failed container=${slot.spec.name} pod=${nameOf(pod)}_${namespaceOf(pod)}(${uidOf(pod)})`;
    slot.state = { waiting: { reason: 'CrashLoopBackOff', message } };
    slot.ready = false;
  }
  return delay;
}

const formatDelay = (seconds: number): string =>
  seconds >= 60 ? `${Math.floor(seconds / 60)}m${seconds % 60}s` : `${seconds}s`;
