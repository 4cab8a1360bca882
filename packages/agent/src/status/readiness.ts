import type { AdminOptions } from '../envoy/admin.ts';
import { adminText } from '../envoy/admin.ts';

/** Statistics that readiness depends on, and nothing else, so that Envoy's answer stays small. */
const FILTER =
  '^(cluster_manager\\.cds|listener_manager\\.lds)\\.(update_success|update_rejected)$|^server\\.state$|^listener_manager\\.workers_started$';
const PATH = `/stats?filter=${encodeURIComponent(FILTER)}`;

/** Envoy's states (`envoy.admin.v3.ServerInfo.State`). */
const STATES = ['LIVE', 'DRAINING', 'PRE_INITIALIZING', 'INITIALIZING'];

/** Why the proxy cannot serve yet, for a person; undefined when it can. */
export type NotReady = string | undefined;

/** Judges the text of `/stats` for the statistics above. */
export function judgeStats(text: string): NotReady {
  const stats = new Map<string, number>();
  for (const line of text.split('\n')) {
    const colon = line.indexOf(': ');
    if (colon > 0) stats.set(line.slice(0, colon), Number(line.slice(colon + 2)));
  }
  const get = (name: string): number => stats.get(name) ?? 0;
  const cds = {
    success: get('cluster_manager.cds.update_success'),
    rejected: get('cluster_manager.cds.update_rejected'),
  };
  const lds = {
    success: get('listener_manager.lds.update_success'),
    rejected: get('listener_manager.lds.update_rejected'),
  };
  if (cds.success === 0 || lds.success === 0) {
    const updates = `cds updates: ${cds.success} successful, ${cds.rejected} rejected; lds updates: ${lds.success} successful, ${lds.rejected} rejected`;
    if (cds.rejected > 0 || lds.rejected > 0) return `config received from XDS server, but was rejected: ${updates}`;
    if (cds.success > 0 || lds.success > 0) return `config not fully received from XDS server: ${updates}`;
    return `config not received from XDS server (is Istiod running?): ${updates}`;
  }
  const state = get('server.state');
  if (!stats.has('server.state') || state !== 0)
    return `server is not live, current state is: ${STATES[state] ?? 'unknown'}`;
  if (get('listener_manager.workers_started') !== 1) return 'workers have not yet started';
  return undefined;
}

export interface ReadinessOptions {
  /** Envoy's admin interface; undefined where the agent runs without Envoy and is ready with its certificate. */
  readonly admin: AdminOptions | undefined;
  /** Why the workload's certificate is missing; undefined when it is there. */
  readonly certificateProblem: () => string | undefined;
  readonly onReady: () => void;
}

/** Remembers that the proxy was ready once: from then on only Envoy's being alive and not draining counts. */
export class Readiness {
  readonly #options: ReadinessOptions;
  #wasReady = false;
  #draining = false;

  constructor(options: ReadinessOptions) {
    this.#options = options;
  }

  /** From now on never ready: the pod is going away. */
  drain(): void {
    this.#draining = true;
  }

  async check(): Promise<NotReady> {
    if (this.#draining) return 'the proxy is draining';
    const certificate = this.#options.certificateProblem();
    if (certificate !== undefined && !this.#wasReady) return `no workload certificate: ${certificate}`;
    const { admin } = this.#options;
    if (admin === undefined) {
      if (!this.#wasReady) this.#options.onReady();
      this.#wasReady = true;
      return undefined;
    }
    let text: string;
    try {
      text = await adminText('GET', this.#wasReady ? '/stats?filter=%5Eserver.state%24' : PATH, {
        timeoutMs: 1000,
        ...admin,
      });
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
    if (this.#wasReady) return /^server\.state: 0$/m.test(text) ? undefined : 'server is not live';
    const problem = judgeStats(text);
    if (problem === undefined) {
      this.#wasReady = true;
      this.#options.onReady();
    }
    return problem;
  }
}
