import { CliError } from '../cli/failure.ts';
import { structured } from '../cli/output.ts';
import type { Session } from '../cli/session.ts';
import { findPods, selectPods } from '../pods/find-pod.ts';
import type { PodName } from '@istio-ts/envoy-dump/ask/pods';
import { podHttp } from '@istio-ts/envoy-dump/ask/pod-http';
import { adminPort } from './proxy-config.ts';

export interface EnvoyStatsFlags {
  readonly type: string;
  readonly output: string;
  readonly proxyAdminPort: string;
  readonly selector?: string;
}

/** Port and path of the agent's metrics, with those of the application merged in. */
const agentPort = 15020;
const formats = ['short', 'json', 'yaml', 'prom', 'prom-merged'];

async function statsOf(session: Session, flags: EnvoyStatsFlags, pod: PodName): Promise<string> {
  const ask = (path: string, port = adminPort(flags)) => podHttp(session.client(), pod, port, path);
  const path = flags.type === 'clusters' ? '/clusters' : '/stats';
  switch (flags.output) {
    case 'json':
      return structured(JSON.parse(await ask(`${path}?format=json`)), 'json');
    case 'yaml':
      return structured(JSON.parse(await ask(`${path}?format=json`)), 'yaml');
    case 'prom':
    case 'prometheus':
      return ask('/stats/prometheus');
    case 'prom-merged':
      return ask('/stats/prometheus', agentPort);
    default:
      return ask(path);
  }
}

/** `istioctl experimental envoy-stats POD`: the counters of Envoy, or what it knows of its clusters. */
export async function runEnvoyStats(session: Session, flags: EnvoyStatsFlags, target?: string): Promise<number> {
  if (flags.type !== 'server' && flags.type !== 'clusters')
    throw new CliError(`--type: "${flags.type}" is neither server nor clusters`);
  if (!formats.includes(flags.output) && flags.output !== 'prometheus')
    throw new CliError(`output format "${flags.output}" is not supported: use one of ${formats.join(', ')}`);
  if (flags.type === 'clusters' && flags.output.startsWith('prom'))
    throw new CliError(`--type clusters has no output format ${flags.output}: use short, json or yaml`);
  if (target !== undefined && flags.selector !== undefined)
    throw new CliError('give either a pod or a selector, not both');
  if (target === undefined && flags.selector === undefined)
    throw new CliError('name a pod (POD[.NAMESPACE] or KIND/NAME[.NAMESPACE]) or choose pods with --selector');
  const client = session.client();
  const pods: readonly PodName[] =
    target !== undefined
      ? (await findPods(client, target, session.namespace())).slice(0, 1)
      : await selectPods(client, flags.selector ?? '', session.namespace());
  for (const [index, pod] of pods.entries()) {
    if (pods.length > 1 && flags.output === 'short')
      session.out(`${index > 0 ? '\n' : ''}${pod.name}.${pod.namespace}:\n`);
    const stats = await statsOf(session, flags, pod);
    session.out(stats.endsWith('\n') ? stats : `${stats}\n`);
  }
  return 0;
}
