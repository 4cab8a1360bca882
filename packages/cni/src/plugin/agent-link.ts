import { createConnection } from 'node:net';
import type { InterceptionSettings } from '@istio-ts/agent/iptables/settings';
import type { Pod } from './pod.ts';

/** A line for the agent's log, or the outcome of a call for its metrics. */
export interface AgentRecord {
  readonly level: 'error' | 'warn' | 'info' | 'debug';
  readonly message: string;
  readonly fields: Readonly<Record<string, string | number | undefined>>;
  /** Set in the last record of a call: 0, or the code of the CNI error. */
  readonly result?: number;
}

/** What the plugin says to the agent of its node: one JSON value per line and connection. */
export type AgentMessage =
  | { readonly kind: 'pod'; readonly namespace: string; readonly name: string }
  /** Set these rules in the network namespace of this path of the node. */
  | {
      readonly kind: 'applyRules';
      readonly netns: string;
      readonly settings: InterceptionSettings;
      readonly families: readonly (4 | 6)[];
    }
  /** Which rules are in force there? */
  | { readonly kind: 'readRules'; readonly netns: string; readonly family: 4 | 6 }
  | { readonly kind: 'records'; readonly records: readonly AgentRecord[] };

/** The agent's answer to what is asked about rules. */
export type RulesReply =
  | { readonly kind: 'rules'; readonly saved: string }
  | { readonly kind: 'failed'; readonly message: string };

/** The agent's answer to a question for a pod; records have none. */
export type AgentReply =
  | { readonly kind: 'pod'; readonly pod: Pod }
  | { readonly kind: 'missing'; readonly message: string }
  | { readonly kind: 'failed'; readonly message: string };

/** Name of the agent's socket in its run directory. */
export const AGENT_SOCKET = 'plugin.sock';

/** Milliseconds after which a silent agent is taken for absent. */
const ANSWER_LIMIT = 3000;
/** The same where rules are written: others may hold the lock of iptables, for which 30 seconds are waited. */
const RULES_LIMIT = 60_000;
const REPLY_LIMIT = 4 << 20;

/** Sends one message and gives the answer's text; undefined when the agent is not there or does not answer. */
function exchange(directory: string, message: AgentMessage, limit: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    let text = '';
    let sent = false;
    const socket = createConnection(`${directory}/${AGENT_SOCKET}`);
    socket.setEncoding('utf8');
    socket.setTimeout(limit, () => socket.destroy());
    socket.on('data', (chunk: string) => {
      text += chunk;
      if (text.length > REPLY_LIMIT) socket.destroy();
    });
    socket.on('error', () => {});
    socket.on('finish', () => {
      sent = true;
      if (message.kind === 'records') socket.destroy();
    });
    socket.on('close', () => resolve(sent ? text : undefined));
    socket.end(`${JSON.stringify(message)}\n`);
  });
}

/** Asks the agent for a pod as the API server has it now; undefined when there is no agent to ask. */
export async function askAgent(directory: string, namespace: string, name: string): Promise<AgentReply | undefined> {
  const text = await exchange(directory, { kind: 'pod', namespace, name }, ANSWER_LIMIT);
  try {
    return text === undefined ? undefined : (JSON.parse(text) as AgentReply);
  } catch {
    // Half an answer, of an agent that ended while it wrote, is none.
    return undefined;
  }
}

/** Lets the agent write or read rules; undefined when there is no agent to ask, or one that does not know the question. */
export async function askAgentForRules(
  directory: string,
  message: Extract<AgentMessage, { kind: 'applyRules' | 'readRules' }>,
): Promise<RulesReply | undefined> {
  const text = await exchange(directory, message, RULES_LIMIT);
  try {
    return text === undefined || text === '' ? undefined : (JSON.parse(text) as RulesReply);
  } catch {
    return undefined;
  }
}

/** Sends records to the agent. Resolves false when it is not there or too busy: a pod never fails because of its log. */
export async function tellAgent(directory: string, records: readonly AgentRecord[]): Promise<boolean> {
  return (await exchange(directory, { kind: 'records', records }, 200)) !== undefined;
}
