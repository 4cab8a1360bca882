import { FoldedMetrics } from '@istio-ts/agent/status/folded-metrics';
import { istioMetricNames } from '@istio-ts/agent/status/metric-names';
import { fillMissingLabels } from '@istio-ts/agent/status/missing-labels';
import type { RunningEnvoy } from './envoy.ts';

/** Envoy's metrics as a scrape gets them from the agent. */
export async function scrape(envoy: Pick<RunningEnvoy, 'admin'>): Promise<string> {
  const folded = new FoldedMetrics();
  const text = fillMissingLabels(istioMetricNames(await envoy.admin('/stats/prometheus')));
  return folded.take(text) + folded.end();
}

/** A line of an exposition. */
export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** The samples of an exposition. */
export const samples = (text: string): readonly Sample[] =>
  text.split('\n').flatMap((line) => {
    const [, name, labels = '', value] = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/.exec(line) ?? [];
    return name === undefined
      ? []
      : [
          {
            name,
            labels: Object.fromEntries(
              [...labels.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map((m) => [m[1] ?? '', m[2] ?? '']),
            ),
            value: Number(value),
          },
        ];
  });
