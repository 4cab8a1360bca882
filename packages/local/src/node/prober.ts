import type { Probe } from '../controllers/kinds.ts';
import type { ProbeResult } from './probe.ts';

/** Repeats a probe until it is stopped. */
export interface Prober {
  stop(): void;
}

/**
 * Runs `probe` with its delays and thresholds. `onVerdict` hears of success when the success threshold is first reached and of failure when the
 * failure threshold is; both again only after a change. `onFailure` hears of each single failure.
 */
export function startProber(
  probe: Probe,
  /** Seconds since the container started; a restarted cluster process does not wait again. */
  age: number,
  check: (timeout: number) => Promise<ProbeResult>,
  handlers: {
    readonly onVerdict: (ok: boolean, message: string) => void;
    readonly onFailure: (message: string) => void;
  },
  /**
   * Try quickly until the first success, without counting or reporting these failures, so that a pod is ready as soon as its program is and
   * not up to a period later. For readiness and startup.
   */
  eager = false,
): Prober {
  const period = Math.max(1, probe.periodSeconds ?? 10) * 1000;
  const timeout = Math.max(1, probe.timeoutSeconds ?? 1) * 1000;
  const successes = Math.max(1, probe.successThreshold ?? 1);
  const failures = Math.max(1, probe.failureThreshold ?? 3);
  let row = 0;
  let last: boolean | undefined;
  let verdict: boolean | undefined;
  let stopped = false;
  let timer: NodeJS.Timeout;
  const started = Date.now() + Math.max(0, (probe.initialDelaySeconds ?? 0) - age) * 1000;
  const tick = async () => {
    const begun = Date.now();
    const result = await check(timeout);
    if (stopped) return;
    if (eager && verdict === undefined && !result.ok && Date.now() - started < period) {
      schedule(150);
      return;
    }
    row = result.ok === last ? row + 1 : 1;
    last = result.ok;
    if (!result.ok) handlers.onFailure(result.message);
    if (row >= (result.ok ? successes : failures) && verdict !== result.ok) {
      verdict = result.ok;
      handlers.onVerdict(result.ok, result.message);
    }
    schedule(Math.max(0, period - (Date.now() - begun)));
  };
  const schedule = (delay: number) => {
    timer = setTimeout(() => void tick(), delay);
  };
  // What is not eager first looks after a period: a program that is still starting has not failed.
  const first = age > 0 || eager ? 0 : Math.min(period, 10_000);
  schedule(first + Math.max(0, (probe.initialDelaySeconds ?? 0) - age) * 1000);
  return {
    stop() {
      stopped = true;
      clearTimeout(timer);
    },
  };
}
