import { readFileSync } from 'node:fs';

/** Linux tells programs CPU time in hundredths of a second, whatever its own clock (proc(5), `sysconf(_SC_CLK_TCK)`). */
const TICKS_PER_SECOND = 100;

/** What a process has taken of the machine. */
export interface ProcessUsage {
  /** Of all its threads, in user and system mode, since its start. */
  readonly cpuSeconds: number;
  /** Resident. */
  readonly memoryBytes: number;
}

/** Reads `/proc/PID/stat` and `status`; undefined where the process is gone, or where there are no such files. */
export function usageOf(pid: number, read: (file: string) => string = readText): ProcessUsage | undefined {
  let stat: string;
  let status: string;
  try {
    stat = read(`/proc/${pid}/stat`);
    status = read(`/proc/${pid}/status`);
  } catch {
    return undefined;
  }
  // The name in parentheses may have spaces and parentheses itself; the fields after it are numbered from 3.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [user, system] = [14, 15].map((field) => Number(fields[field - 3]));
  // A process that has ended and is not waited for has no memory.
  const kibibytes = Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]);
  if (user === undefined || system === undefined || Number.isNaN(user + system + kibibytes)) return undefined;
  return { cpuSeconds: (user + system) / TICKS_PER_SECOND, memoryBytes: kibibytes * 1024 };
}

const readText = (file: string): string => readFileSync(file, 'utf8');

/** The metrics of Envoy's process, in Prometheus' text format; nothing where it is gone. */
export function renderEnvoyUsage(pid: number): string {
  const usage = usageOf(pid);
  if (usage === undefined) return '';
  const metric = (name: string, type: string, help: string, value: number): string =>
    `# HELP istio_agent_envoy_${name} ${help}\n# TYPE istio_agent_envoy_${name} ${type}\nistio_agent_envoy_${name} ${value}\n`;
  return (
    metric('cpu_seconds_total', 'counter', 'CPU time of Envoy, in seconds.', usage.cpuSeconds) +
    metric('resident_memory_bytes', 'gauge', 'Resident memory of Envoy.', usage.memoryBytes)
  );
}
