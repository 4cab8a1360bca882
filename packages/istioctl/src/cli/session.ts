import { type ClosableKubeClient, createKubeClient, type KubeConfig, loadKubeConfig } from '@istio-ts/kube';

/** The flags that every command has (cli.md, istioctl). */
export interface GlobalFlags {
  readonly kubeconfig?: string;
  readonly context?: string;
  readonly namespace?: string;
  readonly istioNamespace: string;
  readonly as?: string;
  readonly asGroup?: readonly string[];
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
    });
    return config;
  };
  return {
    ...io,
    flags,
    config: loaded,
    client: () => {
      client ??= createKubeClient(loaded(), { userAgent: 'istioctl', env: io.env });
      return client;
    },
    namespace: () => flags.namespace || loaded().namespace || 'default',
    close: () => client?.close(),
  };
}
