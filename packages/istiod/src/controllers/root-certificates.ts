import { kubernetesTypes } from '@istio-ts/api/resource-types';
import { KubeApiError, type KubeClient, type KubeObject, type Watch } from '@istio-ts/kube';
import type { Logger } from '../log.ts';

/** The ConfigMap that carries the mesh's trust anchors into every namespace, where the sidecars mount it. */
export const rootCertificateConfigMap = 'istio-ca-root-cert';
/** The ConfigMap that carries the revocation list of the plugged-in CA. */
export const revocationListConfigMap = 'istio-ca-crl';
const retryMs = 1000;
/** Writes to one namespace after which somebody else seems to write too: for example another control plane with another CA. */
const rivalWrites = 5;
const rivalPauseMs = 10_000;

/**
 * Keeps `istio-ca-root-cert` in every namespace and equal to the CA's root; repairs it when somebody changes or deletes it. Namespaces that are being
 * deleted are left alone, and so are those that are no part of the mesh (`discovers`). `root` is read at each write, so a rotated root follows by calling `refresh`.
 * `map` names another ConfigMap for another text: it is made where there is a text, and emptied when there is none any more.
 */
export function keepRootCertificates(
  client: KubeClient,
  root: () => string | undefined,
  log: Logger,
  discovers: (namespace: string) => boolean = () => true,
  { name: mapName, key } = { name: rootCertificateConfigMap, key: 'root-cert.pem' },
): { readonly refresh: () => void; readonly close: () => void } {
  const namespaces = new Map<string, KubeObject>();
  const current = new Map<string, string | undefined>();
  const busy = new Set<string>();
  /** Something changed while the namespace's map was being written. */
  const again = new Set<string>();
  /** Writes to each namespace since the last pause. */
  const writes = new Map<string, number>();
  let mapsSynced = false;
  let closed = false;

  const wanted = (namespace: string) => {
    const object = namespaces.get(namespace);
    return object !== undefined && object.metadata.deletionTimestamp === undefined && discovers(namespace);
  };
  const write = async (namespace: string): Promise<void> => {
    const object: KubeObject = {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: mapName, namespace, labels: { 'istio.io/config': 'true' } },
      data: { [key]: root() ?? '' },
    };
    // Creating and updating is all that istiod's role allows: the ConfigMap is istiod's alone.
    try {
      await client.create(kubernetesTypes.ConfigMap, object);
    } catch (error) {
      if (!(error instanceof KubeApiError && error.reason === 'AlreadyExists')) throw error;
      await client.update(kubernetesTypes.ConfigMap, object);
    }
  };
  const reconcile = (namespace: string): void => {
    if (closed || !mapsSynced || !wanted(namespace) || (current.get(namespace) || undefined) === root()) return;
    if (busy.has(namespace)) {
      again.add(namespace);
      return;
    }
    const written = writes.get(namespace) ?? 0;
    if (written >= rivalWrites) {
      if (written === rivalWrites)
        log.warn(
          `somebody else keeps changing ConfigMap ${namespace}/${mapName}, perhaps a control plane with another CA: it is written every ${rivalPauseMs / 1000} s only`,
        );
      writes.set(namespace, written + 1);
      return;
    }
    writes.set(namespace, written + 1);
    busy.add(namespace);
    write(namespace)
      .catch((error: Error) => {
        // A namespace that is going away takes no new objects.
        const ending =
          error instanceof KubeApiError &&
          (error.status === 404 || (error.status === 403 && error.message.includes('being terminated')));
        if (ending) return;
        log.warn(`cannot write ConfigMap ${namespace}/${mapName}: ${error.message}`);
        setTimeout(reconcile, retryMs, namespace).unref();
      })
      .finally(() => {
        busy.delete(namespace);
        if (again.delete(namespace)) reconcile(namespace);
      });
  };
  const all = () => {
    for (const namespace of namespaces.keys()) reconcile(namespace);
  };

  const watches: Watch[] = [
    client.watch(
      kubernetesTypes.Namespace,
      {},
      (event) => {
        if (event.type === 'SYNCED') return;
        const name = event.object.metadata.name ?? '';
        if (event.type === 'DELETED') {
          namespaces.delete(name);
          current.delete(name);
        } else {
          namespaces.set(name, event.object);
          reconcile(name);
        }
      },
      (error) => log.debug(`watch of namespaces: ${error.message}`),
    ),
    client.watch(
      kubernetesTypes.ConfigMap,
      { fieldSelector: `metadata.name=${mapName}` },
      (event) => {
        if (event.type === 'SYNCED') {
          mapsSynced = true;
          return all();
        }
        const namespace = event.object.metadata.namespace ?? '';
        const data = event.object.data as Readonly<Record<string, string>> | undefined;
        current.set(namespace, event.type === 'DELETED' ? undefined : data?.[key]);
        reconcile(namespace);
      },
      (error) => log.debug(`watch of ${mapName}: ${error.message}`),
    ),
  ];
  const retry = setInterval(all, 30_000);
  retry.unref();
  const pause = setInterval(() => {
    const held = [...writes].filter(([, count]) => count > rivalWrites).map(([namespace]) => namespace);
    writes.clear();
    for (const namespace of held) reconcile(namespace);
  }, rivalPauseMs);
  pause.unref();
  return {
    refresh: all,
    close: () => {
      closed = true;
      clearInterval(retry);
      clearInterval(pause);
      for (const watch of watches) watch.close();
    },
  };
}
