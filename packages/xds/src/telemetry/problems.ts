import type { TelemetrySpec } from '@istio-ts/api';
import type { Config, ScopedProxy } from '@istio-ts/mesh/model';
import { STANDARD_METRICS } from '@istio-ts/mesh/telemetry-metrics';
import { compileCondition, compileExpression } from './expression.ts';

/** A part of a Telemetry that has no effect. */
export interface TelemetryProblem {
  readonly path: string;
  readonly message: string;
}

/** Whether an expression can be computed does not depend on the proxy. */
const anyProxy = { labels: {} } as ScopedProxy;

const isStandard = (name: string): boolean =>
  Object.values(STANDARD_METRICS).some((metric) => metric === name || metric === `istio_${name}`);

/** What stock Envoy cannot do of what a Telemetry asks for: expressions, and metrics that nobody makes. */
export function telemetryProblems({ spec }: Config<TelemetrySpec>): readonly TelemetryProblem[] {
  const found: TelemetryProblem[] = [];
  spec.metrics?.forEach((metrics, i) => {
    metrics.overrides?.forEach((override, j) => {
      const path = `spec.metrics[${i}].overrides[${j}]`;
      const custom = override.match?.customMetric;
      if (custom && !isStandard(custom))
        found.push({
          path: `${path}.match.customMetric`,
          message: `there is no metric ${custom}: proxies make Istio’s standard metrics only, to which labels can be added`,
        });
      for (const [name, { operation, value }] of Object.entries(override.tagOverrides ?? {})) {
        const at = `${path}.tagOverrides[${name}]`;
        if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name))
          found.push({ path: at, message: `${name} is no name of a label: letters, digits and _ are allowed` });
        if (operation === 'REMOVE') continue;
        const compiled = compileExpression(value ?? '', anyProxy);
        if (compiled.kind === 'problem') found.push({ path: `${at}.value`, message: compiled.message });
      }
    });
  });
  spec.accessLogging?.forEach(({ filter }, i) => {
    if (!filter?.expression) return;
    const compiled = compileCondition(filter.expression);
    if (compiled.kind === 'problem')
      found.push({ path: `spec.accessLogging[${i}].filter.expression`, message: compiled.message });
  });
  return found;
}
