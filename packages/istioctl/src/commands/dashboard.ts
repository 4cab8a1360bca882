import { spawn } from 'node:child_process';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { CliError } from '../cli/failure.ts';
import type { Session } from '../cli/session.ts';
import { findPod, type PodName, runningPods } from '../pods/find-pod.ts';

export interface DashboardFlags {
  readonly address: string;
  readonly port?: string;
  readonly browser: boolean;
  readonly selector?: string;
  readonly uiPort: string;
}

/** The programs of the addons: which pods answer, and on which path. */
export const addons = {
  grafana: { selector: 'app.kubernetes.io/name=grafana', path: '/', legacy: 'app=grafana' },
  jaeger: { selector: 'app=jaeger', path: '/', legacy: undefined },
  kiali: { selector: 'app=kiali', path: '/kiali', legacy: undefined },
  prometheus: { selector: 'app.kubernetes.io/name=prometheus', path: '/', legacy: 'app=prometheus' },
  zipkin: { selector: 'app=zipkin', path: '/', legacy: undefined },
  skywalking: { selector: 'app=skywalking-ui', path: '/', legacy: undefined },
} as const;

/** Listens on the user's machine and hands each connection on to a port of a pod, until the command is interrupted. */
async function forward(session: Session, pod: PodName, podPort: number, flags: DashboardFlags): Promise<Server> {
  const client = session.client();
  const server = createServer((socket) => {
    client.portForward(pod.namespace, pod.name, podPort).then(
      (remote) => {
        socket.pipe(remote).pipe(socket);
        remote.on('error', () => socket.destroy());
        socket.on('error', () => remote.destroy());
        socket.on('close', () => remote.destroy());
      },
      (error: Error) => {
        session.err(`port ${podPort} of ${pod.name}.${pod.namespace}: ${error.message}\n`);
        socket.destroy();
      },
    );
  });
  const host = flags.address === 'localhost' ? '127.0.0.1' : flags.address;
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) =>
      reject(
        new CliError(
          error.code === 'EADDRINUSE'
            ? `port ${flags.port} of ${host} is in use: choose another with --port`
            : error.message,
        ),
      ),
    );
    server.listen(Number(flags.port ?? 0), host, () => resolve(server));
  });
}

async function open(
  session: Session,
  pod: PodName,
  podPort: number,
  flags: DashboardFlags,
  path = '/',
): Promise<number> {
  const server = await forward(session, pod, podPort, flags);
  const url = `http://${flags.address}:${(server.address() as AddressInfo).port}${path === '/' ? '' : path}`;
  session.out(`${url}\n`);
  if (flags.browser && session.env.DISPLAY) {
    // Best effort: on a machine without a browser the address is what the user needs.
    spawn('xdg-open', [url], { stdio: 'ignore', detached: true })
      .on('error', () => undefined)
      .unref();
  }
  await new Promise<void>((resolve) => {
    process.once('SIGINT', resolve);
    process.once('SIGTERM', resolve);
  });
  server.close();
  return 0;
}

async function firstOf(session: Session, selectors: readonly string[], what: string, hint: string): Promise<PodName> {
  for (const selector of selectors) {
    const [pod] = await runningPods(session.client(), session.flags.istioNamespace, selector);
    if (pod) return { name: pod.metadata.name ?? '', namespace: pod.metadata.namespace ?? '' };
  }
  throw new CliError(`no ${what} pods found in namespace ${session.flags.istioNamespace}: ${hint}`);
}

async function targetPod(session: Session, flags: DashboardFlags, target: string | undefined): Promise<PodName> {
  if (target !== undefined) return findPod(session.client(), target, session.namespace());
  if (flags.selector === undefined) throw new CliError('name a pod (POD[.NAMESPACE]) or choose one with --selector');
  const [pod] = await runningPods(session.client(), session.namespace(), flags.selector);
  if (!pod) throw new CliError(`no running pod in namespace ${session.namespace()} has the labels ${flags.selector}`);
  return { name: pod.metadata.name ?? '', namespace: pod.metadata.namespace ?? '' };
}

/** `istioctl dashboard envoy POD`: Envoy's admin pages. */
export async function runDashboardEnvoy(session: Session, flags: DashboardFlags, target?: string): Promise<number> {
  return open(session, await targetPod(session, flags, target), Number(flags.uiPort), flags);
}

/** `istioctl dashboard controlz [POD]`: istiod's introspection pages. */
export async function runDashboardControlz(
  session: Session,
  flags: DashboardFlags & { readonly ctrlz_port: string },
  target?: string,
): Promise<number> {
  const pod =
    target !== undefined
      ? await findPod(session.client(), target, session.flags.istioNamespace)
      : await firstOf(session, [flags.selector ?? 'app=istiod'], 'istiod', 'install Istio with istioctl install');
  return open(session, pod, Number(flags.ctrlz_port), flags);
}

/** `istioctl dashboard istiod-debug [POD]`: istiod's debug pages. */
export async function runDashboardDebug(session: Session, flags: DashboardFlags, target?: string): Promise<number> {
  const pod =
    target !== undefined
      ? await findPod(session.client(), target, session.flags.istioNamespace)
      : await firstOf(session, [flags.selector ?? 'app=istiod'], 'istiod', 'install Istio with istioctl install');
  return open(session, pod, 8080, flags, '/debug');
}

/** `istioctl dashboard grafana|jaeger|kiali|prometheus|skywalking|zipkin`. */
export async function runDashboardAddon(
  session: Session,
  name: keyof typeof addons,
  flags: DashboardFlags,
): Promise<number> {
  const { selector, legacy, path } = addons[name];
  const pod = await firstOf(
    session,
    legacy ? [selector, legacy] : [selector],
    name,
    `it is an addon; install it with kubectl apply -f samples/addons/${name}.yaml`,
  );
  return open(session, pod, Number(flags.uiPort), flags, path);
}
