import { applyInterception, hasPrograms, readRules } from '@istio-ts/agent/iptables/apply';
import { DEFAULT_INTERCEPTION } from '@istio-ts/agent/iptables/settings';
import type { PluginSettings } from '../config/plugin-settings.ts';
import { askAgentForRules, type RulesReply } from './agent-link.ts';
import type { RuleWriter } from './plugin.ts';

/** Writes rules with this machine's (or this container's) own iptables programs, in the network namespace of a path. */
export function localRuleWriter(backend: 'nft' | 'legacy' | undefined): RuleWriter {
  const chosen = backend === undefined ? {} : { backend };
  return {
    apply: async (netns, settings, families) =>
      applyInterception(settings, { ...chosen, networkNamespace: netns, families, print: () => undefined }),
    read: async (netns, family) => readRules({ ...chosen, networkNamespace: netns }, family),
  };
}

/** Lets the agent of this node write the rules: its image has the programs. */
export function agentRuleWriter(agentRunDir: string): RuleWriter {
  const must = (reply: RulesReply | undefined): string => {
    if (reply === undefined)
      throw new Error(
        `rules cannot be written: this node has no iptables programs, and the agent istio-cni-node, which has them, does not answer at ${agentRunDir}`,
      );
    if (reply.kind === 'failed') throw new Error(`the agent istio-cni-node: ${reply.message}`);
    return reply.saved;
  };
  return {
    async apply(netns, settings, families) {
      must(await askAgentForRules(agentRunDir, { kind: 'applyRules', netns, settings, families }));
    },
    async read(netns, family) {
      return must(await askAgentForRules(agentRunDir, { kind: 'readRules', netns, family }));
    },
  };
}

/** The plugin's way to write rules: with the node's programs, or through the agent where the node has none or the settings say so. */
export function createRuleWriter({ backend, rulesBy, agentRunDir }: PluginSettings): RuleWriter {
  const own = localRuleWriter(backend);
  const agent = agentRuleWriter(agentRunDir);
  const choose = (mode: 'REDIRECT' | 'TPROXY', netns: string, families: readonly (4 | 6)[]): RuleWriter => {
    if (rulesBy !== undefined) return rulesBy === 'agent' ? agent : own;
    return hasPrograms({ mode }, { ...(backend && { backend }), families, networkNamespace: netns }) ? own : agent;
  };
  return {
    apply: (netns, settings, families) => choose(settings.mode, netns, families).apply(netns, settings, families),
    read: (netns, family) => choose(DEFAULT_INTERCEPTION.mode, netns, [family]).read(netns, family),
  };
}
