import { kubernetesTypes } from '@istio-ts/api/resource-types';
import { CliError } from '../cli/failure.ts';
import type { Session } from '../cli/session.ts';
import { describePod, describeService, isMeshed, podsBehind } from '../describe/describe.ts';
import { loadMeshView } from '../describe/mesh-view.ts';
import { findPod } from '../pods/find-pod.ts';
import { type PodName, podName } from '@istio-ts/envoy-dump/ask/pods';
import type { ConfigDump } from '@istio-ts/envoy-dump/config-dump';
import { fetchConfigDump } from '@istio-ts/envoy-dump/ask/config-dump';
import { adminPort } from './proxy-config.ts';

export interface DescribeFlags {
  readonly ignoreUnmeshed?: boolean;
  readonly proxyAdminPort: string;
}

/** What the pod's Envoy has; a note on stderr instead when it does not answer, for the rest of the description holds without it. */
async function envoyOf(session: Session, flags: DescribeFlags, pod: PodName): Promise<ConfigDump | undefined> {
  try {
    return await fetchConfigDump(session.client(), pod, adminPort(flags));
  } catch (error) {
    session.err(
      `The Envoy of ${pod.name} cannot be asked what it has (${(error as Error).message}): this tells only what the objects say.\n`,
    );
    return undefined;
  }
}

/** `istioctl experimental describe pod POD`. */
export async function runDescribePod(session: Session, flags: DescribeFlags, target?: string): Promise<number> {
  if (target === undefined) throw new CliError('name a pod: istioctl experimental describe pod POD[.NAMESPACE]');
  const client = session.client();
  const { name, namespace } = await findPod(client, target, session.namespace());
  const [pod, view] = await Promise.all([
    client.get(kubernetesTypes.Pod, name, namespace),
    loadMeshView(client, session.flags.istioNamespace),
  ]);
  const dump = isMeshed(pod) ? await envoyOf(session, flags, { name, namespace }) : undefined;
  session.out(describePod(view, pod, dump, flags.ignoreUnmeshed === true));
  return 0;
}

/** `istioctl experimental describe service SERVICE[.NAMESPACE]`. */
export async function runDescribeService(session: Session, flags: DescribeFlags, target?: string): Promise<number> {
  if (target === undefined)
    throw new CliError('name a service: istioctl experimental describe service SERVICE[.NAMESPACE]');
  const word = target.replace(/^(svc|service|services)\//, '');
  const [name = '', where] = word.split('.', 2);
  const namespace = where ?? session.namespace();
  const view = await loadMeshView(session.client(), session.flags.istioNamespace);
  const pod = podsBehind(view, namespace, name).find(isMeshed);
  const dump = pod ? await envoyOf(session, flags, podName(pod)) : undefined;
  session.out(describeService(view, namespace, name, dump, flags.ignoreUnmeshed === true));
  return 0;
}
