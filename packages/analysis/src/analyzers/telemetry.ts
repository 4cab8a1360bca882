import { selectorMatches } from '@istio-ts/mesh/selector';
import { extensionProvider } from '@istio-ts/mesh/telemetry';
import { providerProblem, TELEMETRY_SECTIONS, type TelemetrySection } from '@istio-ts/mesh/telemetry-providers';
import { telemetryTargetProblems } from '@istio-ts/mesh/telemetry-targets';
import type { Analyzer } from '../analyzer.ts';
import { workloadInputs } from '../workloads.ts';

/** Telemetries that name no provider, name one that does not exist or of which nothing comes, select nothing, or contradict each other. */
export const telemetry: Analyzer = {
  name: 'telemetry.Analyzer',
  description: 'Finds Telemetries without a provider, and those that apply to the same pods',
  inputs: ['Telemetry', ...workloadInputs],
  run: (context) => {
    const { meshConfig, rootNamespace } = context.snapshot;
    const all = context.istio('Telemetry');
    for (const entry of all) {
      for (const { path, message } of telemetryTargetProblems(entry.spec, entry.namespace, rootNamespace))
        context.report(entry, 'TelemetryWithoutEffect', { problem: message }, path);
      const reportProvider = (name: string, section: TelemetrySection, path: string): void => {
        const provider = extensionProvider(meshConfig, name);
        if (provider === undefined) {
          context.report(entry, 'ReferencedResourceNotFound', { reftype: 'extension provider', refval: name }, path);
          return;
        }
        const problem = providerProblem(section, provider);
        if (problem !== undefined) context.report(entry, 'TelemetryWithoutEffect', { problem }, path);
      };
      const logsNowhere = (entry.spec.accessLogging ?? []).some(
        (log) => log.disabled !== true && (log.providers ?? []).length === 0,
      );
      if (logsNowhere && (meshConfig.defaultProviders.accessLogging ?? []).length === 0 && !meshConfig.accessLogFile)
        context.report(
          entry,
          'InvalidTelemetryProvider',
          { name: entry.name, namespace: entry.namespace },
          'spec.accessLogging',
        );
      for (const section of TELEMETRY_SECTIONS)
        for (const [index, item] of (entry.spec[section] ?? []).entries())
          for (const [at, provider] of (item.providers ?? []).entries())
            reportProvider(provider.name, section, `spec.${section}[${index}].providers[${at}].name`);
    }
    const byNamespace = Map.groupBy(all, ({ namespace }) => namespace);
    for (const [namespace, entries] of byNamespace) {
      const targeted = entries.filter(
        ({ spec }) => (spec.targetRefs ?? []).length === 0 && spec.targetRef === undefined,
      );
      const general = targeted.filter(({ spec }) => Object.keys(spec.selector?.matchLabels ?? {}).length === 0);
      if (general.length > 1)
        for (const entry of general)
          context.report(entry, 'MultipleTelemetriesWithoutWorkloadSelectors', {
            conflictingTelemetries: general.map(({ name }) => name),
            namespace,
          });
      const selecting = targeted.filter((entry) => !general.includes(entry));
      for (const workload of context.workloadsOf(namespace)) {
        const same = selecting.filter(({ spec }) => selectorMatches(spec.selector?.matchLabels, workload.labels));
        if (same.length < 2) continue;
        for (const entry of same)
          context.report(
            entry,
            'ConflictingTelemetryWorkloadSelectors',
            { conflictingTelemetries: same.map(({ name }) => name), namespace, workloadPod: workload.name },
            'spec.selector',
          );
      }
    }
  },
};
