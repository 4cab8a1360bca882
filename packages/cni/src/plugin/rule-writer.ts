import { applyInterception, readRules } from '@istio-ts/agent/iptables/apply';
import type { RuleWriter } from './plugin.ts';

/** Writes rules with the node's own iptables programs, in the pod's network namespace. */
export function nodeRuleWriter(backend: 'nft' | 'legacy' | undefined): RuleWriter {
  const chosen = backend === undefined ? {} : { backend };
  return {
    apply: (netns, settings, families) =>
      applyInterception(settings, { ...chosen, networkNamespace: netns, families, print: () => undefined }),
    read: (netns, family) => readRules({ ...chosen, networkNamespace: netns }, family),
  };
}
