import { existsSync, readFileSync } from 'node:fs';
import { tellAgent } from '../plugin/agent-link.ts';
import { runPlugin } from '../plugin/plugin.ts';
import { createPodSource } from '../plugin/pod-source.ts';
import { nodeRuleWriter } from '../plugin/rule-writer.ts';

const answer = await runPlugin({
  env: process.env,
  input: process.env.CNI_COMMAND === undefined ? '' : readFileSync(0, 'utf8'),
  pods: ({ agentRunDir, kubeconfig }) => createPodSource(agentRunDir, kubeconfig),
  rules: ({ backend }) => nodeRuleWriter(backend),
  exists: existsSync,
  report: async ({ agentRunDir, logLevel }, records) => {
    const delivered = await tellAgent(agentRunDir, records);
    if (delivered) return;
    // The runtime's own log is the next best place.
    for (const { level, message, fields } of records)
      if (level !== 'debug' || logLevel === 'debug')
        console.error(`istio-cni\t${level}\t${message}\t${JSON.stringify(fields)}`);
  },
});
process.stdout.write(answer.output === '' ? '' : `${answer.output}\n`, () => process.exit(answer.exitCode));
