import { envoyPatchProblems } from '@istio-ts/xds/envoy-filter/patch';
import type { Analyzer } from '../analyzer.ts';

const placed = new Set(['INSERT_BEFORE', 'INSERT_AFTER']);
const whole = new Set(['ROUTE_CONFIGURATION', 'HTTP_ROUTE']);
const replaceable = new Set(['HTTP_FILTER', 'NETWORK_FILTER', 'LISTENER_FILTER']);

/** Operations of EnvoyFilters that are ignored where they stand, or that break with the next version. */
export const envoyFilter: Analyzer = {
  name: 'envoyfilter.EnvoyPatchAnalyzer',
  description: 'Finds patches of EnvoyFilters that have no effect or depend on what others do',
  inputs: ['EnvoyFilter'],
  run: (context) => {
    for (const filter of context.istio('EnvoyFilter')) {
      const { configPatches = [], priority = 0 } = filter.spec;
      for (const { path, message } of envoyPatchProblems(filter.spec))
        if (path.endsWith('.value')) context.report(filter, 'SchemaValidationError', { err: message }, path);
      for (const [index, { applyTo = '', patch, match }] of configPatches.entries()) {
        const operation = patch?.operation ?? '';
        const path = `spec.configPatches[${index}].patch.operation`;
        // The order among the filters of one EnvoyFilter is certain: what an earlier patch of it added may be built upon.
        const earlier = configPatches
          .slice(0, index)
          .some(
            (before) => before.applyTo === applyTo && ['ADD', 'INSERT_FIRST'].includes(before.patch?.operation ?? ''),
          );
        if (placed.has(operation) && priority === 0 && !earlier)
          context.report(
            filter,
            match?.proxy?.proxyVersion
              ? 'EnvoyFilterUsesRelativeOperationWithProxyVersion'
              : 'EnvoyFilterUsesRelativeOperation',
            {},
            path,
          );
        if (operation === 'REPLACE' && !replaceable.has(applyTo))
          context.report(filter, 'EnvoyFilterUsesReplaceOperationIncorrectly', {}, path);
        if (operation === 'ADD' && whole.has(applyTo))
          context.report(filter, 'EnvoyFilterUsesAddOperationIncorrectly', {}, path);
        if (operation === 'REMOVE' && whole.has(applyTo))
          context.report(filter, 'EnvoyFilterUsesRemoveOperationIncorrectly', {}, path);
      }
    }
  },
};
