import { meshTelemetryProblems } from '@istio-ts/mesh/mesh-telemetry-problems';
import type { Analyzer } from '../analyzer.ts';

/** What of the mesh configuration's telemetry comes to nothing. */
export const meshTelemetry: Analyzer = {
  name: 'telemetry.MeshConfigAnalyzer',
  description: 'Finds providers and tracers of the mesh configuration that stock Envoy cannot send to',
  inputs: ['ConfigMap'],
  run: (context) => {
    const { istioNamespace, meshConfig, revision } = context.snapshot;
    const name = revision === 'default' ? 'istio' : `istio-${revision}`;
    const map = context.find('ConfigMap', istioNamespace, name);
    for (const problem of meshTelemetryProblems(meshConfig)) context.report(map, 'TelemetryWithoutEffect', { problem });
  },
};
