import type { Analyzer } from '../analyzer.ts';

/** AuthorizationPolicies that refer to namespaces or providers that are not there. */
export const authorizationPolicy: Analyzer = {
  name: 'auth.AuthorizationPoliciesAnalyzer',
  description: 'Finds AuthorizationPolicies that refer to namespaces or providers that do not exist',
  inputs: ['AuthorizationPolicy', 'Namespace'],
  run: (context) => {
    const { fromCluster, meshConfig } = context.snapshot;
    const namespaces = context.objects('Namespace').map(({ name }) => name);
    const exists = (pattern: string): boolean => {
      if (pattern === '*') return true;
      if (pattern.endsWith('*')) return namespaces.some((name) => name.startsWith(pattern.slice(0, -1)));
      if (pattern.startsWith('*')) return namespaces.some((name) => name.endsWith(pattern.slice(1)));
      return namespaces.includes(pattern);
    };
    for (const entry of context.istio('AuthorizationPolicy')) {
      const { action, provider, rules = [] } = entry.spec;
      const named = provider?.name ?? '';
      if (action === 'CUSTOM' && named !== '' && !meshConfig.extensionProviders.some(({ name }) => name === named))
        context.report(
          entry,
          'ReferencedResourceNotFound',
          { reftype: 'extension provider', refval: named },
          'spec.provider.name',
        );
      // Without a cluster most namespaces are just not in the files.
      if (!fromCluster) continue;
      for (const [rule, { from = [] }] of rules.entries())
        for (const [at, { source }] of from.entries())
          for (const field of ['namespaces', 'notNamespaces'] as const)
            for (const [index, namespace] of (source?.[field] ?? []).entries())
              if (!exists(namespace))
                context.report(
                  entry,
                  'ReferencedResourceNotFound',
                  { reftype: 'namespace', refval: namespace },
                  `spec.rules[${rule}].from[${at}].source.${field}[${index}]`,
                );
    }
  },
};
