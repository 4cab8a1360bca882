import { setTimeout as sleep } from 'node:timers/promises';
import { kinds } from '@istio-ts/api/kinds';
import { istioTypes } from '@istio-ts/api/resource-types';
import { isNotFound, type KubeClient, type KubeObject, type ResourceType } from '@istio-ts/kube';
import { durationMs, wholeNumber } from '../cli/duration.ts';
import { CliError, usageExitCode } from '../cli/failure.ts';
import type { Session } from '../cli/session.ts';
import { askControlPlane, controlPlanePods, debugPort } from '@istio-ts/envoy-dump/ask/control-plane';
import { createDelivery, type IstiodAnswer } from './progress.ts';

export interface WaitFlags {
  readonly for: 'delivery' | 'distribution' | 'delete';
  readonly generation?: string;
  readonly resourceVersion?: string;
  readonly threshold: string;
  readonly timeout: string;
  readonly proxy?: string;
  readonly verbose?: boolean;
  readonly revision?: string;
}

const pollMs = 250;

/** The kind that a user means: `VirtualService`, `virtualservices`, `virtual-service`, `vs`. Raises CliError. */
export function istioType(word: string): ResourceType {
  const plain = word.toLowerCase().replaceAll('-', '').split('.')[0] ?? '';
  const kind = kinds.find(
    ({ kind: name, plural, shortNames }) =>
      name.toLowerCase() === plain || plural === plain || shortNames.includes(plain),
  )?.kind;
  const type = kind === undefined ? undefined : (istioTypes as Readonly<Record<string, ResourceType>>)[kind];
  if (type) return type;
  throw new CliError(
    `"${word}" is not a kind of Istio: use one of ${Object.values(istioTypes)
      .map(({ kind: name }) => name.toLowerCase())
      .join(', ')}`,
    usageExitCode,
  );
}

async function findObject(client: KubeClient, type: ResourceType, name: string, namespace: string) {
  try {
    return await client.get(type, name, namespace);
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}

function shareOf(text: string): number {
  const share = Number(text);
  if (text.trim() === '' || !(share >= 0 && share <= 1))
    throw new CliError(`--threshold: "${text}" is not a number from 0 to 1`, usageExitCode);
  return share;
}

/** `istioctl experimental wait`. Raises CliError when what is waited for does not come. */
export async function runWait(session: Session, flags: WaitFlags, kind: string, target: string): Promise<number> {
  const type = istioType(kind);
  const timeoutMs = durationMs(flags.timeout, '--timeout');
  const threshold = shareOf(flags.threshold);
  const dot = target.indexOf('.');
  const name = dot < 0 ? target : target.slice(0, dot);
  const namespace = dot < 0 ? session.namespace() : target.slice(dot + 1);
  const what = `${type.kind} ${namespace}/${name}`;
  const client = session.client();
  const deadline = Date.now() + timeoutMs;
  const tell = (line: string) => {
    if (flags.verbose) session.err(`${line}\n`);
  };

  if (flags.for === 'delete') {
    while (await findObject(client, type, name, namespace)) {
      if (Date.now() > deadline) throw new CliError(`${what} still exists after ${flags.timeout}`);
      await sleep(pollMs);
    }
    session.out(`${what} is gone\n`);
    return 0;
  }

  const object = await findObject(client, type, name, namespace);
  if (!object) throw new CliError(`there is no ${what}`);
  const generation = wantedGeneration(object, flags);
  const delivery = createDelivery({
    generation,
    ...(flags.resourceVersion !== undefined && { resourceVersion: flags.resourceVersion }),
    ...(flags.proxy !== undefined && {
      proxy: flags.proxy.includes('.') ? flags.proxy : `${flags.proxy}.${session.namespace()}`,
    }),
  });
  const path = `/debug/config_distribution?resource=${encodeURIComponent(`${type.kind}/${namespace}/${name}`)}`;
  let last = '';
  for (;;) {
    const pods = await controlPlanePods(client, session.flags.istioNamespace, flags.revision);
    if (pods.length === 0)
      throw new CliError(`no running istiod in namespace "${session.flags.istioNamespace}": nobody would deliver it`);
    const answers = await askControlPlane(client, pods, debugPort, path);
    const state = delivery.take(
      answers.map(({ pod, body }) => ({ ...(JSON.parse(body) as IstiodAnswer), istiod: pod })),
    );
    if (state.problem !== undefined) throw new CliError(`istiod ignores ${what}: ${state.problem}`);
    if (state.line !== last) tell(state.line);
    last = state.line;
    if (state.inForce && state.share >= threshold) {
      session.out(`${what} (generation ${generation}) has arrived: ${state.line}\n`);
      return 0;
    }
    if (Date.now() > deadline)
      throw new CliError(`${what} (generation ${generation}) has not arrived within ${flags.timeout}: ${state.line}`);
    await sleep(pollMs);
  }
}

function wantedGeneration(object: KubeObject, flags: WaitFlags): number {
  if (flags.generation !== undefined) return wholeNumber(flags.generation, '--generation', { min: 1 });
  return object.metadata.generation ?? 1;
}
