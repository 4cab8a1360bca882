import type { MetricsRegistry } from '@istio-ts/metrics';
import type { AddonState } from './api.ts';
import { Analyst } from './config/analysis.ts';
import type { Dashboard } from './dashboards.ts';
import type { RateLimit } from './http/rate-limit.ts';
import type { Caller } from './session/caller.ts';
import type { Sessions } from './session/sessions.ts';
import type { Settings } from './settings.ts';
import type { Prometheus } from './sources/prometheus.ts';
import type { Traces } from './traces/jaeger.ts';

/** What the endpoints work with. */
export interface Services {
  readonly settings: Settings;
  readonly sessions: Sessions;
  readonly prometheus: Prometheus;
  readonly traces: Traces;
  readonly dashboards: ReadonlyMap<string, Dashboard>;
  readonly addons: () => Promise<readonly AddonState[]>;
  readonly analystOf: (caller: Caller) => Analyst;
  /** Wrong tokens by address. */
  readonly wrongTokens: RateLimit;
  readonly metrics: MetricsRegistry;
  readonly now: () => number;
  readonly log: (line: string) => void;
}

/** One analyst per caller: what it remembers is what that caller may see. */
export function createAnalysts(settings: Settings, now: () => number): (caller: Caller) => Analyst {
  const analysts = new WeakMap<Caller, Analyst>();
  return (caller) => {
    let analyst = analysts.get(caller);
    if (!analyst) {
      analyst = new Analyst(caller.mesh.cluster, settings, now);
      analysts.set(caller, analyst);
    }
    return analyst;
  };
}
