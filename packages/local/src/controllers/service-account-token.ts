import type { KubeClient, KubeObject } from '@istio-ts/kube';
import type { Informer } from './informer.ts';
import { keyOf, nameOf, namespaceOf, SECRETS } from './kinds.ts';
import { createWorkQueue, type WorkQueue } from './work-queue.ts';

const TYPE = 'kubernetes.io/service-account-token';
const ACCOUNT = 'kubernetes.io/service-account.name';
const ACCOUNT_UID = 'kubernetes.io/service-account.uid';
/** As long as the server gives one: tokens in Secrets end with the Secret. */
const EXPIRATION_SECONDS = 2 ** 32;

/**
 * Fills Secrets of type `kubernetes.io/service-account-token` with a token of the service account that they name, the cluster's CA and their namespace
 * (Kubernetes documentation, "Managing Service Accounts").
 */
export function startServiceAccountTokens(
  client: KubeClient,
  secrets: Informer<KubeObject>,
  onError: (key: string, error: Error) => void,
): WorkQueue {
  const queue = createWorkQueue({
    onError,
    async reconcile(key) {
      const secret = secrets.byKey(key);
      if (secret === undefined || secret.type !== TYPE) return;
      const data = (secret.data ?? {}) as Readonly<Record<string, string>>;
      const account = secret.metadata.annotations?.[ACCOUNT];
      if (account === undefined || (data.token && data['ca.crt'])) return;
      const namespace = namespaceOf(secret);
      const path = `/api/v1/namespaces/${encodeURIComponent(namespace)}`;
      const read = (resource: string) => client.request('GET', `${path}/${resource}`);
      const { metadata } = (await read(`serviceaccounts/${encodeURIComponent(account)}`)) as KubeObject;
      const { status } = (await client.request('POST', `${path}/serviceaccounts/${encodeURIComponent(account)}/token`, {
        apiVersion: 'authentication.k8s.io/v1',
        kind: 'TokenRequest',
        spec: {
          expirationSeconds: EXPIRATION_SECONDS,
          boundObjectRef: { apiVersion: 'v1', kind: 'Secret', name: nameOf(secret), uid: secret.metadata.uid },
        },
      })) as { readonly status: { readonly token: string } };
      const roots = (await read('configmaps/kube-root-ca.crt')) as { readonly data?: Readonly<Record<string, string>> };
      const base64 = (text: string) => Buffer.from(text).toString('base64');
      await client.patch(SECRETS, nameOf(secret), namespace, 'merge', {
        metadata: { annotations: { [ACCOUNT_UID]: metadata.uid } },
        data: {
          token: base64(status.token),
          'ca.crt': base64(roots.data?.['ca.crt'] ?? ''),
          namespace: base64(namespace),
        },
      });
    },
  });
  secrets.onChange(({ object }) => queue.add(keyOf(object)));
  return queue;
}
