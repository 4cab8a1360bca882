import { istioTypes } from '@istio-ts/api/resource-types';
import type { KubeClient, KubeObject } from '@istio-ts/kube';
import type { Mesh } from '@istio-ts/mesh';
import type { ForeignHost } from '@istio-ts/mesh/derived/foreign-hosts';
import { conditionOf, maxConditionMessage, withCondition } from '../controllers/condition.ts';
import { createConfigStatusWriter } from '../controllers/config-status.ts';
import type { Logger } from '../log.ts';

const conditionType = 'ForeignHosts';

/** Whether an object's status says that it claims hosts of other namespaces. */
export const claimedBefore = (object: KubeObject): boolean => conditionOf(object, conditionType)?.status === 'True';

const typeOf = (kind: string) => (kind === 'VirtualService' || kind === 'ServiceEntry' ? istioTypes[kind] : undefined);

/** What becomes of a host that is another namespace's. */
function consequence({ origin, owner }: ForeignHost, forbidden: boolean): string {
  if (origin.kind === 'ServiceEntry')
    return `is a Service of namespace ${owner}: proxies of other namespaces keep to that one`;
  return forbidden
    ? `is a service of namespace ${owner}: without effect on proxies of other namespaces (ISTIO_TS_FORBID_FOREIGN_HOSTS)`
    : `is a service of namespace ${owner}: this routes what other namespaces send to it; exportTo: ["."] restricts it`;
}

/**
 * Warns of objects that claim hosts of other namespaces: by a log line, and by a condition in the object's status, which is taken back when they
 * claim them no longer.
 */
export function reportForeignHosts(
  mesh: Pick<Mesh, 'foreignHosts' | 'options'>,
  client: KubeClient,
  log: Logger,
): { readonly recheck: (object: KubeObject) => void; readonly close: () => void } {
  const forbidden = mesh.options.forbidsForeignHosts === true;
  const statuses = createConfigStatusWriter(
    client,
    () => new Date(),
    log,
    undefined,
    (object, problems, now) => {
      if (problems.length === 0 && conditionOf(object, conditionType) === undefined) return undefined;
      const wanted =
        problems.length === 0
          ? { status: 'False', reason: 'OwnHosts', message: 'no host of another namespace is claimed' }
          : {
              status: 'True',
              reason: forbidden ? 'Forbidden' : 'Claimed',
              message: problems
                .map(({ path, message }) => `${path}: ${message}`)
                .join('; ')
                .slice(0, maxConditionMessage),
            };
      return withCondition(object, { type: conditionType, ...wanted }, now);
    },
  );
  const write = (key: string): void => {
    const [kind = '', namespace = '', name = ''] = key.split('/');
    const type = typeOf(kind);
    if (type === undefined) return;
    statuses.write(type, { namespace, name }, () =>
      (mesh.foreignHosts.get(key) ?? []).map((claim) => ({
        severity: 'warning',
        path: claim.path,
        message: `${claim.host} ${consequence(claim, forbidden)}`,
      })),
    );
  };
  const tell = (claims: readonly ForeignHost[]): void => {
    for (const claim of claims) {
      const { origin, path, host } = claim;
      log.warn(`${origin.kind} ${origin.namespace}/${origin.name}: ${path}: ${host} ${consequence(claim, forbidden)}`);
    }
  };
  const end = mesh.foreignHosts.subscribe((changes) => {
    for (const { key, after } of changes) {
      if (after) tell(after);
      write(key);
    }
  });
  for (const [key, claims] of mesh.foreignHosts.entries()) {
    tell(claims);
    write(key);
  }
  return {
    // Told by an earlier istiod and mended while none ran.
    recheck: (object) => {
      if (!claimedBefore(object)) return;
      const key = `${object.kind}/${object.metadata.namespace ?? ''}/${object.metadata.name ?? ''}`;
      setImmediate(() => {
        if (!mesh.foreignHosts.has(key)) write(key);
      });
    },
    close: () => {
      end();
      statuses.close();
    },
  };
}
