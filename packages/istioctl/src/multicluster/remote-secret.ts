import { CliError } from '../cli/failure.ts';

/** What the Secret is for: a cluster to discover services in, or the one with the mesh's configuration. */
export type SecretType = 'remote' | 'config';

/** How the control plane proves to the other API server who it is. */
export type RemoteAuth =
  | { readonly type: 'bearer-token'; readonly token: string }
  | {
      readonly type: 'plugin';
      readonly command: string;
      readonly args: readonly string[];
      readonly apiVersion: string;
      readonly env: Readonly<Record<string, string>>;
    };

export interface RemoteCluster {
  readonly name: string;
  readonly server: string;
  /** PEM. */
  readonly ca: string;
  readonly tlsServerName?: string;
  readonly auth: RemoteAuth;
}

/** Names of clusters become names of Secrets and values of labels (RFC 1123). */
const clusterName = /^[a-z0-9]([a-z0-9.-]{0,229}[a-z0-9])?$/;

/** Reads the flags of a credential plugin. Raises CliError. */
export function pluginAuth(command: string | undefined, settings: readonly string[]): RemoteAuth {
  if (!command) throw new CliError('--auth-type plugin needs --auth-plugin-name, the command that prints credentials');
  const pairs = new Map(
    settings
      .flatMap((setting) => setting.split(','))
      .map((pair) => {
        const [, key, value] = /^([^=]+)=(.*)$/s.exec(pair) ?? [];
        if (key === undefined || value === undefined)
          throw new CliError(`--auth-plugin-config: "${pair}" is not of the form KEY=VALUE`);
        return [key, value];
      }),
  );
  const { args = '', apiVersion = 'client.authentication.k8s.io/v1', ...env } = Object.fromEntries(pairs);
  return { type: 'plugin', command, args: args.split(' ').filter((word) => word !== ''), apiVersion, env };
}

/** The kubeconfig in a remote secret. */
export function remoteKubeconfig({ name, server, ca, tlsServerName, auth }: RemoteCluster): object {
  const user =
    auth.type === 'bearer-token'
      ? { token: auth.token }
      : {
          exec: {
            apiVersion: auth.apiVersion,
            command: auth.command,
            ...(auth.args.length > 0 && { args: auth.args }),
            env: Object.entries(auth.env).map(([key, value]) => ({ name: key, value })),
            interactiveMode: 'Never',
          },
        };
  return {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [
      {
        name,
        cluster: {
          'certificate-authority-data': Buffer.from(ca).toString('base64'),
          server,
          ...(tlsServerName !== undefined && { 'tls-server-name': tlsServerName }),
        },
      },
    ],
    contexts: [{ name, context: { cluster: name, user: name } }],
    'current-context': name,
    preferences: {},
    users: [{ name, user }],
  };
}

/**
 * The Secret that a control plane recognises by its label (istio-surface.md, `istio/multiCluster`). `kubeconfig` is YAML. Raises CliError for a name
 * of a cluster that cannot be part of the name of a Secret.
 */
export function remoteSecret(type: SecretType, cluster: string, namespace: string, kubeconfig: string): object {
  if (!clusterName.test(cluster))
    throw new CliError(
      `--name ${cluster}: names of clusters consist of small letters, digits, "-" and ".", and begin and end with a letter or digit`,
    );
  const isRemote = type === 'remote';
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: {
      name: isRemote ? `istio-remote-secret-${cluster}` : 'istio-kubeconfig',
      namespace,
      annotations: { 'networking.istio.io/cluster': cluster },
      ...(isRemote && { labels: { 'istio/multiCluster': 'true' } }),
    },
    stringData: { [isRemote ? cluster : 'config']: kubeconfig },
  };
}

/** Whether an address only means something on the machine where the kubeconfig is. */
export function isLoopback(server: string): boolean {
  const host = URL.parse(server)?.hostname ?? '';
  return host === 'localhost' || host === '[::1]' || /^127\./.test(host);
}
