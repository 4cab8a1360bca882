import type { Analyzer } from '../analyzer.ts';
import { injectorSettings, isApplicationNamespace, namespaceChoice } from '../injection.ts';

/** Namespaces that say nothing, or two things, about injection. */
export const namespaceInjection: Analyzer = {
  name: 'injection.NamespaceAnalyzer',
  description: 'Finds namespaces whose labels do not say, or say twice, whether pods get sidecars',
  inputs: ['Namespace', 'ConfigMap'],
  run: (context) => {
    const { enabledByDefault } = injectorSettings(context);
    for (const namespace of context.objects('Namespace')) {
      if (!isApplicationNamespace(context, namespace.name)) continue;
      const labels = ['istio-injection', 'istio.io/rev'].filter((label) => (namespace.labels[label] ?? '') !== '');
      if (labels.length > 1)
        context.report(namespace, 'NamespaceMultipleInjectionLabels', { labels }, 'metadata.labels');
      if (namespaceChoice(namespace) !== 'nothing') continue;
      if (enabledByDefault) context.report(namespace, 'NamespaceInjectionEnabledByDefault', {});
      else context.report(namespace, 'NamespaceNotInjected', { namespace: namespace.name, namespace2: namespace.name });
    }
  },
};
