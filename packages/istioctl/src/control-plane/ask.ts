import { CliError } from '../cli/failure.ts';
import { durationMs } from '../cli/duration.ts';
import type { Session } from '../cli/session.ts';
import type { XdsFlags } from '../cli/xds-options.ts';
import { controlPlanePods, debugPort } from '@istio-ts/envoy-dump/ask/control-plane';
import { type PodName, podName, runningPods } from '@istio-ts/envoy-dump/ask/pods';
import { forwardPort } from '../pods/forwarded-port.ts';
import { podHttp } from '@istio-ts/envoy-dump/ask/pod-http';
import { portFlag } from '../commands/proxy-config.ts';
import { within } from './deadline.ts';
import { type Answer, askOverXds, parseXdsAddress } from './xds.ts';

/** Which of several istiods to ask: each knows only the proxies that are connected to it. */
export type Whom = 'all' | 'first' | { readonly name: string };

/** How to ask istiod: a debug command in, the answers out. Raises CliError when there is no istiod or one does not answer. */
export type AskIstiod = (command: string, whom?: Whom) => Promise<readonly Answer[]>;

function chosen(pods: readonly PodName[], whom: Whom): readonly PodName[] {
  if (whom === 'all') return pods;
  return whom === 'first' ? pods.slice(0, 1) : pods.filter(({ name }) => name === whom.name);
}

const nobody = (session: Session, flags: XdsFlags, labels = 'app=istiod') =>
  new CliError(
    `no running istiod in namespace "${session.flags.istioNamespace}"${flags.revision ? ` with revision ${flags.revision}` : ''}${
      labels === 'app=istiod' ? '' : ` with the labels ${labels}`
    }: install one with istioctl install, or name its namespace with --istioNamespace`,
  );

/**
 * Debug commands of the control plane, in the way that the flags ask for: over xDS to `--xds-address`, over xDS to the pods with `--xds-label`, else over
 * HTTP through a port-forward to every istiod (of a revision).
 */
export function askIstiod(session: Session, flags: XdsFlags): AskIstiod {
  const timeoutMs = durationMs(flags.timeout, '--timeout');
  const port = portFlag('xds-port', flags.xdsPort) ?? 15012;
  const { xdsAddress, xdsLabel } = flags;
  if (xdsAddress !== undefined && xdsAddress !== '') {
    const server = parseXdsAddress(xdsAddress);
    return async (command) => [await askOverXds(session, flags, server, command, timeoutMs)];
  }
  if (xdsLabel !== undefined)
    return (command, whom = 'all') => askByLabel(session, flags, { labels: xdsLabel, port, timeoutMs }, command, whom);
  return async (command, whom = 'all') => {
    const client = session.client();
    const pods = await controlPlanePods(client, session.flags.istioNamespace, flags.revision);
    if (pods.length === 0) throw nobody(session, flags);
    return Promise.all(
      chosen(pods.map(podName), whom).map(async (pod): Promise<Answer> => {
        const asked = podHttp(client, pod, debugPort, `/debug/${command}`);
        return { istiod: pod.name, body: await within(timeoutMs, `istiod ${pod.name}`, asked) };
      }),
    );
  };
}

async function askByLabel(
  session: Session,
  flags: XdsFlags,
  { labels, port, timeoutMs }: { readonly labels: string; readonly port: number; readonly timeoutMs: number },
  command: string,
  whom: Whom,
): Promise<readonly Answer[]> {
  const { istioNamespace } = session.flags;
  const selector = `${labels}${flags.revision ? `,istio.io/rev=${flags.revision}` : ''}`;
  const pods = (await runningPods(session.client(), istioNamespace, selector)).map(podName);
  if (pods.length === 0) throw nobody(session, flags, selector);
  const ask = async (pod: PodName): Promise<Answer> => {
    const local = { host: '127.0.0.1', port: 0 };
    let failure: Error | undefined;
    const forwarded = await forwardPort(session.client(), pod, port, local, (error) => {
      failure = error;
    });
    try {
      const server = { host: '127.0.0.1', port: forwarded.port, serverName: `istiod.${istioNamespace}.svc` };
      return await askOverXds(session, flags, server, command, timeoutMs);
    } catch (error) {
      if (failure) throw new CliError(`cannot reach port ${port} of ${pod.name}: ${failure.message}`);
      throw error;
    } finally {
      forwarded.close();
    }
  };
  return Promise.all(chosen(pods, whom).map(ask));
}
