import { type ClosableKubeClient, createKubeClient, type KubeConfig, loadKubeConfig } from '@istio-ts/kube';

/** The flags that every command has (cli.md, istioctl). */
export interface GlobalFlags {
  readonly kubeconfig?: string;
  readonly context?: string;
  readonly namespace?: string;
  readonly istioNamespace: string;
  readonly as?: string;
  readonly asGroup?: readonly string[];
  readonly asUid?: string;
  /** How long one request to the API server may take (`--kubeclient-timeout`). */
  readonly kubeclientTimeoutMs?: number;
  /** `--vklog`: from 6 on, requests to the API server are told on standard error. */
  readonly verbosity?: number;
}

/** What a command works with: where it writes, what it was told, and the cluster, which is contacted at first use. */
export interface Session {
  readonly flags: GlobalFlags;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
  readonly colours: boolean;
  readonly config: () => KubeConfig;
  readonly client: () => ClosableKubeClient;
  /** Namespace of `--namespace`, else of the kubeconfig's context, else `default`. */
  readonly namespace: () => string;
  readonly close: () => void;
}

export function createSession(
  flags: GlobalFlags,
  io: {
    readonly env: Session['env'];
    readonly out: Session['out'];
    readonly err: Session['err'];
    readonly colours: boolean;
  },
): Session {
  let config: KubeConfig | undefined;
  let client: ClosableKubeClient | undefined;
  const loaded = () => {
    config ??= loadKubeConfig({
      env: io.env,
      ...(flags.kubeconfig !== undefined && { kubeconfig: flags.kubeconfig }),
      ...(flags.context !== undefined && { context: flags.context }),
      ...(flags.as !== undefined && { as: flags.as }),
      ...(flags.asGroup !== undefined && { asGroups: flags.asGroup }),
      ...(flags.asUid !== undefined && { asUid: flags.asUid }),
    });
    return config;
  };
  return {
    ...io,
    flags,
    config: loaded,
    client: () => {
      if (client) return client;
      const connected = createKubeClient(loaded(), {
        userAgent: 'istioctl',
        env: io.env,
        ...(flags.kubeclientTimeoutMs !== undefined && { timeoutMs: flags.kubeclientTimeoutMs }),
      });
      client = (flags.verbosity ?? 0) >= 6 ? told(connected, io.err) : connected;
      return client;
    },
    namespace: () => flags.namespace || loaded().namespace || 'default',
    close: () => client?.close(),
  };
}

/** A client that tells of each call: what, of which object, how long it took. */
function told(client: ClosableKubeClient, tell: (line: string) => void): ClosableKubeClient {
  const describe = (args: readonly unknown[]) =>
    args
      .flatMap((arg) =>
        typeof arg === 'string'
          ? [arg]
          : typeof arg === 'object' && arg !== null && 'resource' in arg
            ? [String(arg.resource)]
            : [],
      )
      .join(' ');
  return new Proxy(client, {
    get: (target, name, receiver) => {
      const member: unknown = Reflect.get(target, name, receiver);
      if (typeof member !== 'function') return member;
      return (...args: readonly unknown[]) => {
        const started = performance.now();
        const result: unknown = Reflect.apply(member, target, args);
        if (!(result instanceof Promise)) return result;
        const end = (how: string) =>
          tell(`${String(name)} ${describe(args)}: ${how} after ${Math.round(performance.now() - started)} ms\n`);
        result.then(
          () => end('done'),
          (error: Error) => end(error.message),
        );
        return result;
      };
    },
  });
}
