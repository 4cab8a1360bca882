import { istioMetricNames } from '@istio-ts/agent/status/metric-names';
import { fillMissingLabels } from '@istio-ts/agent/status/missing-labels';
import type { RunningEnvoy } from './envoy.ts';

/** Envoy's metrics as a scrape gets them from the agent. */
export const scrape = async (envoy: RunningEnvoy): Promise<string> =>
  fillMissingLabels(istioMetricNames(await envoy.admin('/stats/prometheus')));
