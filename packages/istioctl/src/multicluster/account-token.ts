import { setTimeout as sleep } from 'node:timers/promises';
import { kubernetesTypes } from '@istio-ts/api/resource-types';
import { isNotFound, type KubeClient, type KubeObject } from '@istio-ts/kube';
import { CliError } from '../cli/failure.ts';

const tokenType = 'kubernetes.io/service-account-token';
const accountAnnotation = 'kubernetes.io/service-account.name';
const waitMs = 15_000;
const pollMs = 200;

/** A token that does not expire, and the CA of the cluster that it is good for. */
export interface AccountToken {
  readonly token: string;
  /** PEM. */
  readonly ca: string;
}

const text = (secret: KubeObject, key: string): string =>
  Buffer.from(((secret.data ?? {}) as Readonly<Record<string, string>>)[key] ?? '', 'base64').toString('utf8');

const isOf = (secret: KubeObject, account: string): boolean =>
  secret.type === tokenType && secret.metadata.annotations?.[accountAnnotation] === account;

/**
 * The token of a service account in a Secret: the given one, the only one, or a new one, which the cluster fills. Raises CliError when none can be
 * chosen or the cluster does not fill it.
 */
export async function accountToken(
  client: KubeClient,
  account: string,
  namespace: string,
  secretName: string | undefined,
): Promise<AccountToken> {
  const secret = await chooseSecret(client, account, namespace, secretName);
  const name = secret.metadata.name ?? '';
  const deadline = Date.now() + waitMs;
  for (let current = secret; ; current = await client.get(kubernetesTypes.Secret, name, namespace)) {
    const token = text(current, 'token');
    const ca = text(current, 'ca.crt');
    if (token !== '' && ca !== '') return { token, ca };
    if (Date.now() > deadline)
      throw new CliError(
        `the cluster has not put a token into Secret ${namespace}/${name} within ${waitMs / 1000}s: does its controller of service account tokens run?`,
      );
    await sleep(pollMs);
  }
}

async function chooseSecret(
  client: KubeClient,
  account: string,
  namespace: string,
  secretName: string | undefined,
): Promise<KubeObject> {
  if (secretName !== undefined) {
    let secret: KubeObject;
    try {
      secret = await client.get(kubernetesTypes.Secret, secretName, namespace);
    } catch (error) {
      if (isNotFound(error))
        throw new CliError(`--secret-name ${secretName}: there is no such Secret in namespace ${namespace}`);
      throw error;
    }
    if (!isOf(secret, account))
      throw new CliError(
        `--secret-name ${secretName}: it is no token of service account ${account} (type ${tokenType}, annotation ${accountAnnotation})`,
      );
    return secret;
  }
  const { items } = await client.list(kubernetesTypes.Secret, { namespace, fieldSelector: `type=${tokenType}` });
  const [first, second] = items.filter((secret) => isOf(secret, account));
  if (first && second)
    throw new CliError(
      `service account ${account} has several tokens: choose one with --secret-name (${items
        .filter((secret) => isOf(secret, account))
        .map(({ metadata }) => metadata.name)
        .join(', ')})`,
    );
  if (first) return first;
  // Since Kubernetes 1.24 a lasting token has to be asked for.
  return client.create(kubernetesTypes.Secret, {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: {
      name: `${account}-istio-remote-secret-token`,
      namespace,
      annotations: { [accountAnnotation]: account },
    },
    type: tokenType,
  });
}
