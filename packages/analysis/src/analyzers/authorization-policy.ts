import type { Analyzer } from '../analyzer.ts';
import { serviceInputs } from '../services.ts';

/** AuthorizationPolicies that refer to namespaces or providers that are not there. */
export const authorizationPolicy: Analyzer = {
  name: 'auth.AuthorizationPoliciesAnalyzer',
  description:
    'Finds AuthorizationPolicies that refer to namespaces, providers or services of providers that do not exist',
  inputs: ['AuthorizationPolicy', 'Namespace', ...serviceInputs],
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
      if (action === 'CUSTOM' && named !== '') {
        const missing = (reftype: string, refval: string): void =>
          context.report(entry, 'ReferencedResourceNotFound', { reftype, refval }, 'spec.provider.name');
        const found = meshConfig.extensionProviders.find(({ name }) => name === named);
        const asked = found?.envoyExtAuthzHttp ?? found?.envoyExtAuthzGrpc;
        const host = asked?.service.slice(asked.service.indexOf('/') + 1) ?? '';
        if (found === undefined) missing('extension provider', named);
        else if (asked === undefined)
          missing('extension provider of the kind envoyExtAuthzHttp or envoyExtAuthzGrpc', named);
        else if (fromCluster) {
          const services = context.services().lookup(host, entry.namespace);
          if (services.length === 0) missing(`service of the extension provider ${named}`, asked.service);
          else if (!services.some(({ ports }) => ports.some(({ number }) => number === asked.port)))
            missing(`port of the extension provider ${named}`, `${host}:${asked.port}`);
        }
      }
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
