import type { ObjectName } from './origin.ts';

/** A decision on the way of a request. */
export interface ExplainStep {
  readonly stage: 'listener' | 'filter-chain' | 'filter' | 'route' | 'destination' | 'endpoint' | 'end';
  /** `unknown`: what decides is not in the configuration (a random share, somebody else's answer, an address). */
  readonly verdict: 'matched' | 'passed' | 'changed' | 'denied' | 'failed' | 'unknown';
  /** Whole sentence. */
  readonly text: string;
  /** Name of Envoy's resource. */
  readonly resource?: string;
  /** Objects that decided. */
  readonly from: readonly ObjectName[];
  /** What else was looked at and why it was not it. */
  readonly others: readonly { readonly name: string; readonly why: string }[];
}

/** What happens to a request, step by step. */
export interface Explanation {
  readonly steps: readonly ExplainStep[];
  /** Status that the caller gets when the proxy itself answers; 0: the connection is closed; undefined: somebody behind it answers. */
  readonly status?: number;
  /** One sentence. */
  readonly summary: string;
}

/** A proxy's configuration, names in camelCase as ProtoJSON has them: what istioctl's `proxy-config` reads from a dump. */
export interface ProxyConfiguration {
  readonly listeners: readonly Record<string, unknown>[];
  readonly routes: readonly Record<string, unknown>[];
  readonly clusters: readonly Record<string, unknown>[];
  /** ClusterLoadAssignments. */
  readonly assignments: readonly Record<string, unknown>[];
}

/** A step with nothing but its text. */
export const step = (
  stage: ExplainStep['stage'],
  verdict: ExplainStep['verdict'],
  sentence: string,
  more: Partial<Pick<ExplainStep, 'resource' | 'from' | 'others'>> = {},
): ExplainStep => ({ stage, verdict, text: sentence, from: [], others: [], ...more });
