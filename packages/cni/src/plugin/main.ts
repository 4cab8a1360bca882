import { existsSync, readFileSync } from 'node:fs';
import { tellAgent } from './agent-link.ts';
import { runPlugin } from './plugin.ts';
import { createPodSource } from './pod-source.ts';
import { createRuleWriter } from './rule-writer.ts';

/** Answers one call of a container runtime (CNI specification, "Execution Protocol"): from the environment and standard input to standard output; ends the process. */
export async function main(): Promise<void> {
  const answer = await runPlugin({
    env: process.env,
    input: () => readFileSync(0, 'utf8'),
    pods: ({ agentRunDir, kubeconfig }) => createPodSource(agentRunDir, kubeconfig),
    rules: createRuleWriter,
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
}
