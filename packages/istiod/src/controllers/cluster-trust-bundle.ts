import { TRUST_BUNDLE_NAME, TRUST_BUNDLE_SIGNER, TRUST_BUNDLE_TYPES } from '@istio-ts/injector';
import { isNotFound, KubeApiError, type KubeClient, type KubeObject, type ResourceType } from '@istio-ts/kube';
import { splitCertificates } from '@istio-ts/security';
import type { Logger } from '../log.ts';

/** The API server refuses bundles in which an anchor stands twice. */
const eachOnce = (pem: string): string => [...new Set(splitCertificates(pem))].join('');

const RETRY_MS = 30_000;

/**
 * Keeps the mesh's trust anchors in a ClusterTrustBundle, which pods of all namespaces can mount: in the newest version of it that the API server serves.
 * Where it serves none that is said once, and looked at again every half minute. `root` is read at each write; a rotated root follows by `refresh`.
 */
export function keepClusterTrustBundle(
  client: Pick<KubeClient, 'get' | 'create' | 'update'>,
  root: () => string,
  log: Logger,
): {
  readonly refresh: () => void;
  /** Pods can mount the bundle. */
  readonly isServed: () => boolean;
  readonly close: () => void;
} {
  let closed = false;
  let running = false;
  let again = false;
  let said = '';
  let isServed = false;

  const write = async (type: ResourceType): Promise<'written' | 'not served'> => {
    const trustBundle = eachOnce(root());
    const fresh: KubeObject = {
      apiVersion: `${type.group}/${type.version}`,
      kind: type.kind,
      metadata: { name: TRUST_BUNDLE_NAME },
      spec: { signerName: TRUST_BUNDLE_SIGNER, trustBundle },
    };
    let current: KubeObject;
    try {
      current = await client.get(type, TRUST_BUNDLE_NAME);
    } catch (error) {
      if (!isNotFound(error)) throw error;
      try {
        await client.create(type, fresh);
        return 'written';
      } catch (refused) {
        // The object is not there, and neither is its kind.
        if (isNotFound(refused)) return 'not served';
        throw refused;
      }
    }
    if ((current.spec as { readonly trustBundle?: string } | undefined)?.trustBundle !== trustBundle)
      await client.update(type, { ...fresh, metadata: current.metadata });
    return 'written';
  };

  const say = (problem: string): void => {
    if (problem !== said && problem !== '') log.warn(problem);
    said = problem;
  };
  const reconcile = async (): Promise<void> => {
    try {
      for (const type of TRUST_BUNDLE_TYPES) {
        if ((await write(type)) === 'not served') continue;
        isServed = true;
        say('');
        return;
      }
      isServed = false;
      say(
        'this API server serves no ClusterTrustBundle: the root certificates are in the ConfigMaps alone, and pods mount these',
      );
    } catch (error) {
      // Another replica was quicker: the next look sees what it wrote.
      if (error instanceof KubeApiError && error.status === 409) {
        isServed = true;
        return;
      }
      say(`cannot write ClusterTrustBundle ${TRUST_BUNDLE_NAME}: ${error instanceof Error ? error.message : error}`);
    }
  };
  const refresh = (): void => {
    if (closed) return;
    if (running) {
      again = true;
      return;
    }
    running = true;
    void reconcile().finally(() => {
      running = false;
      if (again) {
        again = false;
        refresh();
      }
    });
  };
  refresh();
  const retry = setInterval(refresh, RETRY_MS);
  retry.unref();
  return {
    refresh,
    isServed: () => isServed,
    close: () => {
      closed = true;
      clearInterval(retry);
    },
  };
}
