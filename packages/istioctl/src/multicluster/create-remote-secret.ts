import { kubernetesTypes } from '@istio-ts/api/resource-types';
import { dump } from 'js-yaml';
import { CliError } from '../cli/failure.ts';
import type { Session } from '../cli/session.ts';
import { chartsDir } from '../cli/spec-flags.ts';
import { accountToken } from './account-token.ts';
import { ensureAccount } from './reader-account.ts';
import { isLoopback, pluginAuth, remoteKubeconfig, remoteSecret, type SecretType } from './remote-secret.ts';

export interface RemoteSecretFlags {
  readonly authType: 'bearer-token' | 'plugin';
  readonly authPluginName?: string;
  readonly authPluginConfig: readonly string[];
  readonly createServiceAccount: boolean;
  readonly manifests?: string;
  readonly name?: string;
  readonly secretName?: string;
  readonly server?: string;
  readonly serviceAccount?: string;
  readonly tlsServerName?: string;
  readonly type: SecretType;
}

const yaml = (value: unknown): string => dump(value, { lineWidth: -1, noRefs: true });

/**
 * `istioctl create-remote-secret`: the Secret goes to standard output, everything else to standard error, so that the output can be piped into
 * `kubectl apply`. Raises CliError.
 */
export async function runCreateRemoteSecret(session: Session, flags: RemoteSecretFlags): Promise<number> {
  const namespace = session.flags.istioNamespace;
  const config = session.config();
  const server = flags.server ?? config.server;
  if (!/^https?:\/\/[^/]+/.test(server))
    throw new CliError(`--server ${server}: write a URL, for example https://10.0.0.1:6443`);
  const plugin = flags.authType === 'plugin' ? pluginAuth(flags.authPluginName, flags.authPluginConfig) : undefined;
  if (!plugin && (flags.authPluginName !== undefined || flags.authPluginConfig.length > 0))
    throw new CliError('--auth-plugin-name and --auth-plugin-config need --auth-type plugin');
  const client = session.client();
  const name = flags.name ?? (await client.get(kubernetesTypes.Namespace, 'kube-system')).metadata.uid ?? 'Kubernetes';
  // A name that cannot be used is found before anything is made.
  remoteSecret(flags.type, name, namespace, '');
  const account = flags.serviceAccount ?? (flags.type === 'remote' ? 'istio-reader-service-account' : 'istiod');
  await ensureAccount(client, account, namespace, {
    create: flags.createServiceAccount,
    chartsDir: () => chartsDir(flags.manifests),
    tell: (line) => session.err(`${line}\n`),
  });
  const token = await accountToken(client, account, namespace, flags.secretName);
  const kubeconfig = yaml(
    remoteKubeconfig({
      name,
      server,
      ca: token.ca,
      auth: plugin ?? { type: 'bearer-token', token: token.token },
      ...(flags.tlsServerName !== undefined && { tlsServerName: flags.tlsServerName }),
    }),
  );
  session.err(
    'warning: istiod does not read other clusters yet: the Secret can be made and applied, and has no effect so far\n',
  );
  if (isLoopback(server))
    session.err(
      `Warning: ${server} is an address of this machine. A control plane elsewhere needs one that it can reach: give it with --server.\n`,
    );
  session.out(`# Lets a control plane read cluster ${name}. It holds a credential: keep it as secret as a password.\n`);
  session.out(yaml(remoteSecret(flags.type, name, namespace, kubeconfig)));
  return 0;
}
