import { spawn } from 'node:child_process';
import { asObject, field, textField } from '../json.ts';
import type { Json } from '../json.ts';
import { type AppProbe, type ProbeTarget, readProbe, runProbe } from '../status/probes.ts';
import type { Health } from './client.ts';

/** How the application of a workload outside Kubernetes is asked whether it is well (Istio, WorkloadGroup `probe`). */
export interface HealthProbe {
  readonly check: AppProbe | { readonly kind: 'exec'; readonly command: readonly string[]; readonly timeoutMs: number };
  readonly initialDelayMs: number;
  readonly periodMs: number;
  readonly successThreshold: number;
  readonly failureThreshold: number;
  /** Host to ask instead of the workload's own address; '' for that. */
  readonly host: string;
}

/** Reads `readinessProbe` of ProxyConfig; undefined where there is none. Raises ProbeConfigError. */
export function readHealthProbe(raw: Json | undefined): HealthProbe | undefined {
  if (raw === undefined || raw === null) return undefined;
  const probe = asObject(raw);
  const number = (name: string, fallback: number): number => {
    const value = Number(field(probe, name) ?? 0);
    return Number.isFinite(value) && value > 0 ? value : fallback;
  };
  const seconds = number('timeoutSeconds', 1);
  const command = field(asObject(field(probe, 'exec')), 'command');
  const tcp = asObject(field(probe, 'tcpSocket'));
  const get = asObject(field(probe, 'httpGet'));
  return {
    check: Array.isArray(command)
      ? { kind: 'exec', command: command.map(String), timeoutMs: seconds * 1000 }
      : readProbe('readinessProbe', probe),
    initialDelayMs: number('initialDelaySeconds', 0) * 1000,
    periodMs: number('periodSeconds', 10) * 1000,
    successThreshold: number('successThreshold', 1),
    failureThreshold: number('failureThreshold', 3),
    // As for Istio, the host of an HTTP probe is where it goes to.
    host: textField(get, 'host') || textField(tcp, 'host'),
  };
}

/** Probes until closed and tells of every change; the first result counts as one. */
export function watchHealth(
  probe: HealthProbe,
  target: ProbeTarget,
  onChange: (health: Health) => void,
): { close(): void } {
  const at: ProbeTarget = probe.host === '' ? target : { address: probe.host, localAddress: undefined };
  let timer: NodeJS.Timeout | undefined;
  let closed = false;
  let known: boolean | undefined;
  let row = { healthy: true, length: 0 };
  const round = async (): Promise<void> => {
    const { status, reason } =
      probe.check.kind === 'exec' ? await execute(probe.check) : await runProbe(probe.check, at, {});
    if (closed) return;
    const healthy = status >= 200 && status < 400;
    row = { healthy, length: row.healthy === healthy ? row.length + 1 : 1 };
    const needed = healthy ? probe.successThreshold : probe.failureThreshold;
    if (row.length >= needed && known !== healthy) {
      known = healthy;
      onChange({ healthy, message: healthy ? '' : reason || `status ${status}` });
    }
    timer = setTimeout(() => void round(), probe.periodMs);
  };
  timer = setTimeout(() => void round(), probe.initialDelayMs);
  return {
    close: () => {
      closed = true;
      clearTimeout(timer);
    },
  };
}

function execute(check: { readonly command: readonly string[]; readonly timeoutMs: number }): Promise<{
  readonly status: number;
  readonly reason: string;
}> {
  return new Promise((resolve) => {
    const [program = '', ...args] = check.command;
    const child = spawn(program, args, { stdio: 'ignore' });
    const timer = setTimeout(() => child.kill('SIGKILL'), check.timeoutMs);
    const done = (status: number, reason: string): void => {
      clearTimeout(timer);
      resolve({ status, reason });
    };
    child.on('error', (error) => done(500, error.message));
    child.on('close', (code, signal) => done(code === 0 ? 200 : 500, `${program} ended with ${signal ?? code}`));
  });
}
