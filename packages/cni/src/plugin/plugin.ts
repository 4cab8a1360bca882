import { interceptionRules } from '@istio-ts/agent/iptables/rules';
import type { InterceptionSettings } from '@istio-ts/agent/iptables/settings';
import { type PluginSettings, readPluginEntry } from '../config/plugin-settings.ts';
import type { AgentRecord } from './agent-link.ts';
import { type Decision, decide } from './decision.ts';
import type { PodSource } from './pod-source.ts';
import { addressFamilies, CniError, type CniRequest, ERROR, formatError, passResult, readRequest } from './protocol.ts';
import { quickAnswer } from './quick-answer.ts';

/** Rules of one network namespace. */
export interface RuleWriter {
  /** Brings the rules about; safe to repeat. Rejects with an Error that has what the tools said. */
  apply(netns: string, settings: InterceptionSettings, families: readonly (4 | 6)[]): Promise<void>;
  /** Rules now in force, as iptables-save prints them. */
  read(netns: string, family: 4 | 6): Promise<string>;
}

/** What the plugin needs of the world around it. */
export interface PluginWorld {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Standard input, to its end. */
  readonly input: () => string;
  readonly pods: (settings: PluginSettings) => PodSource;
  readonly rules: (settings: PluginSettings) => RuleWriter;
  readonly exists: (path: string) => boolean;
  readonly report: (settings: PluginSettings, records: readonly AgentRecord[]) => Promise<unknown>;
}

/** What the program prints and exits with. */
export interface PluginAnswer {
  readonly output: string;
  readonly exitCode: number;
}

/** Answers one call of a container runtime. Never throws: what goes wrong becomes the answer. */
export async function runPlugin(world: PluginWorld): Promise<PluginAnswer> {
  const quick = quickAnswer(world.env.CNI_COMMAND);
  if (quick !== undefined) return { output: quick, exitCode: 0 };
  let cniVersion = '1.0.0';
  const records: AgentRecord[] = [];
  let settings: PluginSettings | undefined;
  let answer: PluginAnswer;
  let result = 0;
  let request: CniRequest | undefined;
  try {
    request = readRequest(world.env, readInput(world));
    cniVersion = request.cniVersion;
    try {
      settings = readPluginEntry(request.config);
    } catch (error) {
      throw new CniError(ERROR.invalidConfig, (error as Error).message);
    }
    answer = { output: await answerCall(request, settings, world, records), exitCode: 0 };
  } catch (error) {
    result = error instanceof CniError ? error.code : 999;
    answer = { output: formatError(error, cniVersion), exitCode: 1 };
    records.push({ level: 'error', message: (error as Error).message, fields: {} });
  }
  if (settings !== undefined && (records.length > 0 || request?.command === 'ADD')) {
    const fields = { command: request?.command, pod: podName(request), container: request?.containerId.slice(0, 12) };
    const all = records.map((record) => ({ ...record, fields: { ...fields, ...record.fields } }));
    const last = all.pop() ?? { level: 'debug' as const, message: 'done', fields };
    await world.report(settings, [...all, { ...last, ...(request?.command === 'ADD' && { result }) }]);
  }
  return answer;
}

function readInput({ env, input }: PluginWorld): string {
  // Called by a person, it would wait for somebody to type.
  if (env.CNI_COMMAND === undefined) return '';
  try {
    return input();
  } catch (error) {
    throw new CniError(ERROR.inputFailure, `configuration cannot be read: ${(error as Error).message}`);
  }
}

function podName(request: CniRequest | undefined): string | undefined {
  return request?.pod && `${request.pod.namespace}/${request.pod.name}`;
}

async function answerCall(
  request: CniRequest,
  settings: PluginSettings,
  world: PluginWorld,
  records: AgentRecord[],
): Promise<string> {
  switch (request.command) {
    case 'ADD': {
      await add(request, settings, world, records);
      return passResult(request);
    }
    case 'CHECK':
      await check(request, settings, world);
      return '';
    default:
      return request.command satisfies never;
  }
}

/** A kernel that was started without IPv6 has no such table. */
const familiesOf = (request: CniRequest, { exists }: PluginWorld) =>
  addressFamilies(request, exists('/proc/net/if_inet6'));

/** How names of the agent's pods begin. The token in the kubeconfig ended with the agent before, so nobody can be asked about the next one. */
const AGENT_PODS = 'istio-cni-node-';

async function decideCall(request: CniRequest, settings: PluginSettings, world: PluginWorld): Promise<Decision> {
  const { pod } = request;
  if (pod === undefined) return { kind: 'leave', reason: 'the call names no pod of Kubernetes' };
  if (pod.namespace === settings.agentNamespace && pod.name.startsWith(AGENT_PODS))
    return { kind: 'leave', reason: 'the pod is the agent, which its own network cannot wait for' };
  // Before anything is asked: pods that the API server itself may depend on must not wait for it.
  if (settings.excludeNamespaces.includes(pod.namespace))
    return { kind: 'leave', reason: `namespace ${pod.namespace} is excluded` };
  const found = await world.pods(settings).get(pod.namespace, pod.name, pod.uid);
  try {
    return decide(found, settings.excludeNamespaces);
  } catch (error) {
    throw new CniError(ERROR.rulesFailed, `settings of pod ${pod.namespace}/${pod.name}: ${(error as Error).message}`);
  }
}

async function add(
  request: CniRequest,
  settings: PluginSettings,
  world: PluginWorld,
  records: AgentRecord[],
): Promise<void> {
  const decision = await decideCall(request, settings, world);
  if (decision.kind === 'leave') {
    records.push({ level: 'debug', message: 'left alone', fields: { reason: decision.reason } });
    return;
  }
  const started = performance.now();
  try {
    await world.rules(settings).apply(request.netns, decision.settings, familiesOf(request, world));
  } catch (error) {
    throw new CniError(ERROR.rulesFailed, (error as Error).message);
  }
  const took = `${Math.round(performance.now() - started)}ms`;
  records.push({ level: 'info', message: 'set the interception rules', fields: { netns: request.netns, took } });
}

async function check(request: CniRequest, settings: PluginSettings, world: PluginWorld): Promise<void> {
  const decision = await decideCall(request, settings, world);
  if (decision.kind === 'leave') return;
  const writer = world.rules(settings);
  for (const family of familiesOf(request, world)) {
    const missing = missingChains(decision.settings, family, await writer.read(request.netns, family));
    if (missing.length > 0)
      throw new CniError(
        ERROR.rulesMissing,
        `interception rules for IPv${family} are missing from the network namespace ${request.netns}: ${missing.join(', ')}`,
      );
  }
}

/** Chains that hold fewer rules than they should. Rules are counted and not compared, as iptables-save words them its own way. */
export function missingChains(settings: InterceptionSettings, family: 4 | 6, saved: string): readonly string[] {
  const present = new Map<string, number>();
  let table = '';
  for (const line of saved.split('\n')) {
    if (line.startsWith('*')) table = line.slice(1).trim();
    const chain = /^-A (\S+)/.exec(line)?.[1];
    if (chain !== undefined) present.set(`${table} ${chain}`, (present.get(`${table} ${chain}`) ?? 0) + 1);
  }
  const wanted = new Map<string, number>();
  for (const rule of interceptionRules(settings, family)) {
    const key = `${rule.table} ${rule.chain}`;
    wanted.set(key, (wanted.get(key) ?? 0) + 1);
  }
  return [...wanted].filter(([key, count]) => (present.get(key) ?? 0) < count).map(([key]) => key);
}
