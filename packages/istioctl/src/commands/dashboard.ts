import { spawn } from 'node:child_process';
import { CliError } from '../cli/failure.ts';
import type { Session } from '../cli/session.ts';
import { findPods, selectPods } from '../pods/find-pod.ts';
import { type PodName, podName, runningPods } from '@istio-ts/envoy-dump/ask/pods';
import { type ForwardedPort, forwardPort } from '../pods/forwarded-port.ts';
import { portFlag } from './proxy-config.ts';

export interface DashboardFlags {
  readonly address: string;
  readonly port?: string;
  readonly browser: boolean;
}

export interface PodPageFlags extends DashboardFlags {
  readonly uiPort: string;
  readonly selector?: string;
}

export interface ControlPlanePageFlags extends DashboardFlags {
  readonly selector?: string;
  readonly revision?: string;
}

/** The programs of the addons: which pods answer, and on which path. */
export const addons = {
  grafana: { selectors: ['app.kubernetes.io/name=grafana', 'app=grafana'], path: '/' },
  jaeger: { selectors: ['app=jaeger'], path: '/' },
  kiali: { selectors: ['app=kiali'], path: '/kiali' },
  prometheus: { selectors: ['app.kubernetes.io/name=prometheus', 'app=prometheus'], path: '/' },
  zipkin: { selectors: ['app=zipkin'], path: '/' },
  skywalking: { selectors: ['app=skywalking-ui'], path: '/' },
} as const satisfies Readonly<Record<string, { readonly selectors: readonly string[]; readonly path: string }>>;

/** Opens a port of this machine that ends at the pod's. Raises CliError that names the port when it is taken. */
async function listen(session: Session, pod: PodName, podPort: number, flags: DashboardFlags): Promise<ForwardedPort> {
  const host = flags.address === 'localhost' ? '127.0.0.1' : flags.address;
  const port = portFlag('port', flags.port) ?? 0;
  try {
    return await forwardPort(session.client(), pod, podPort, { host, port }, (error) =>
      session.err(`port ${podPort} of ${pod.name}.${pod.namespace}: ${error.message}\n`),
    );
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'EADDRINUSE') throw new CliError(`port ${port} of ${host} is in use: choose another with --port`);
    if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND')
      throw new CliError(`--address: this machine has no address ${flags.address}`);
    throw new CliError(`cannot listen on ${host}: ${message}`);
  }
}

/** The program that shows a page on this machine; undefined where there is no screen. */
function browserCommand(session: Session): string | undefined {
  if (process.platform === 'darwin') return 'open';
  return session.env.DISPLAY || session.env.WAYLAND_DISPLAY ? 'xdg-open' : undefined;
}

async function open(
  session: Session,
  pods: readonly [PodName, ...PodName[]],
  podPort: number,
  flags: DashboardFlags,
  path = '/',
): Promise<number> {
  const [pod, ...others] = pods;
  const forwarded = await listen(session, pod, podPort, flags);
  const shown = flags.address.includes(':') ? `[${flags.address}]` : flags.address;
  const url = `http://${shown}:${forwarded.port}${path === '/' ? '' : path}`;
  if (others.length > 0)
    session.err(`${pods.length} pods run: this is ${pod.name}.${pod.namespace}; name another to see that one.\n`);
  session.out(`${url}\n`);
  const browser = flags.browser ? browserCommand(session) : undefined;
  if (browser !== undefined) {
    // Best effort: on a machine without a browser the address is what the user needs.
    spawn(browser, [url], { stdio: 'ignore', detached: true })
      .on('error', () => undefined)
      .unref();
  }
  await new Promise<void>((resolve) => {
    process.once('SIGINT', resolve);
    process.once('SIGTERM', resolve);
  });
  forwarded.close();
  return 0;
}

async function controlPlanePods(session: Session, flags: ControlPlanePageFlags, target: string | undefined) {
  const { istioNamespace } = session.flags;
  if (target !== undefined) return findPods(session.client(), target, istioNamespace);
  const labels = `${flags.selector ?? 'app=istiod'}${flags.revision ? `,istio.io/rev=${flags.revision}` : ''}`;
  const [first, ...others] = (await runningPods(session.client(), istioNamespace, labels)).map(podName);
  if (!first)
    throw new CliError(
      `no running pod with the labels ${labels} in namespace ${istioNamespace}: install Istio with istioctl install`,
    );
  return [first, ...others] as const;
}

/** `istioctl dashboard envoy|proxy POD`: Envoy's admin pages. */
export async function runDashboardEnvoy(session: Session, flags: PodPageFlags, target?: string): Promise<number> {
  if (target !== undefined && flags.selector !== undefined)
    throw new CliError('give either a pod or a selector, not both');
  if (target === undefined && flags.selector === undefined)
    throw new CliError('name a pod (POD[.NAMESPACE] or KIND/NAME[.NAMESPACE]) or choose one with --selector');
  const port = portFlag('ui-port', flags.uiPort) ?? 15000;
  const pods =
    target !== undefined
      ? await findPods(session.client(), target, session.namespace())
      : await selectPods(session.client(), flags.selector ?? '', session.namespace());
  return open(session, pods, port, flags);
}

/** `istioctl dashboard controlz [POD]`: istiod's introspection pages. */
export async function runDashboardControlz(
  session: Session,
  flags: ControlPlanePageFlags & { readonly ctrlz_port: string },
  target?: string,
): Promise<number> {
  const port = portFlag('ctrlz_port', flags.ctrlz_port) ?? 9876;
  return open(session, await controlPlanePods(session, flags, target), port, flags);
}

/** `istioctl dashboard istiod-debug [POD]`: istiod's debug pages. */
export async function runDashboardDebug(
  session: Session,
  flags: ControlPlanePageFlags,
  target?: string,
): Promise<number> {
  return open(session, await controlPlanePods(session, flags, target), 8080, flags, '/debug');
}

/** `istioctl dashboard grafana|jaeger|kiali|prometheus|skywalking|zipkin`: in the namespace of `-n`, else that of the control plane. */
export async function runDashboardAddon(
  session: Session,
  name: keyof typeof addons,
  flags: PodPageFlags,
): Promise<number> {
  const { selectors, path } = addons[name];
  const port = portFlag('ui-port', flags.uiPort) ?? 0;
  const namespace = session.flags.namespace || session.flags.istioNamespace;
  for (const selector of selectors) {
    const [first, ...others] = (await runningPods(session.client(), namespace, selector)).map(podName);
    if (first) return open(session, [first, ...others], port, flags, path);
  }
  throw new CliError(
    `no running pod of ${name} in namespace ${namespace} (labels ${selectors.join(' or ')}): it is an addon that istioctl install does not bring; apply a manifest of ${name} to that namespace, or name the namespace where it runs with -n`,
  );
}
