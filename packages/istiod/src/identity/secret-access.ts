import { TRUST_BUNDLE } from '@istio-ts/mesh';
import { kubernetesTypes } from '@istio-ts/api/resource-types';
import type { KubeClient } from '@istio-ts/kube';
import type { ProxyConfigSource, ProxyNode, ProxyView, XdsResource } from '@istio-ts/xds';
import { layerChanges } from '../ads/view-layer.ts';
import { TypeUrl } from '../ads/resource-kinds.ts';
import type { Logger } from '../log.ts';

/** How long an answer counts: roles are given and taken away without anybody telling. */
const allowedMs = 60_000;
const refusedMs = 10_000;
const failedMs = 5000;

interface Account {
  readonly namespace: string;
  readonly name: string;
}

/** Whether one service account may read the Secrets of its namespace, kept current while somebody watches. */
interface Permission {
  allowed: boolean | undefined;
  readonly watchers: Set<() => void>;
  failing: boolean;
  callOff: () => void;
}

/** Runs `work` later; the result calls it off. */
export type Later = (work: () => void, ms: number) => () => void;

const laterOnClock: Later = (work, ms) => {
  const timer = setTimeout(work, ms);
  timer.unref();
  return () => clearTimeout(timer);
};

/**
 * Gives Secrets to those proxies only whose service account may list the Secrets of its namespace, as the API server says (SubjectAccessReview;
 * Istio documentation, "Egress TLS Origination": the role that a sidecar needs for `credentialName`). The charts give gateways that role. A proxy
 * that needs no Secret costs no question, and all proxies of an account share the answer.
 */
export function withSecretAccess(
  source: ProxyConfigSource,
  client: Pick<KubeClient, 'create'>,
  log: Logger,
  later: Later = laterOnClock,
): { readonly source: ProxyConfigSource; close(): void } {
  const permissions = new Map<string, Permission>();
  let closed = false;

  const review = async ({ namespace, name }: Account): Promise<boolean> => {
    const answer = await client.create(kubernetesTypes.SubjectAccessReview, {
      apiVersion: 'authorization.k8s.io/v1',
      kind: 'SubjectAccessReview',
      metadata: {},
      spec: {
        user: `system:serviceaccount:${namespace}:${name}`,
        groups: ['system:serviceaccounts', `system:serviceaccounts:${namespace}`, 'system:authenticated'],
        resourceAttributes: { namespace, verb: 'list', group: '', resource: 'secrets' },
      },
    });
    return (answer.status as { readonly allowed?: boolean } | undefined)?.allowed === true;
  };

  const permissionOf = (account: Account): Permission => {
    const key = `${account.namespace}/${account.name}`;
    const known = permissions.get(key);
    if (known) return known;
    const permission: Permission = {
      allowed: undefined,
      watchers: new Set(),
      failing: false,
      callOff: () => undefined,
    };
    permissions.set(key, permission);
    const askAgain = (): void => {
      if (permission.watchers.size > 0) void ask();
      else permissions.delete(key);
    };
    const ask = async (): Promise<void> => {
      let wait = failedMs;
      try {
        const allowed = await review(account);
        permission.failing = false;
        wait = allowed ? allowedMs : refusedMs;
        if (allowed !== permission.allowed) {
          permission.allowed = allowed;
          if (!allowed)
            log.warn(
              `service account ${key} may not list Secrets in its namespace: its proxies get none; give it a Role for "list" of "secrets"`,
            );
          for (const watcher of [...permission.watchers]) watcher();
        }
      } catch (error) {
        // The last answer stays; without any, nobody gets a Secret.
        if (!permission.failing)
          log.warn(`cannot ask whether ${key} may list Secrets: ${error instanceof Error ? error.message : error}`);
        permission.failing = true;
      }
      if (!closed) permission.callOff = later(askAgain, wait);
    };
    void ask();
    return permission;
  };

  const connect = (node: ProxyNode): ProxyView => {
    const view = source.connect(node);
    const account = accountOf(node);
    if (account === undefined) return view;
    const changes = layerChanges(view);
    const changed = (): void => changes.announce(secretsChanged);
    let permission: Permission | undefined;
    const secrets = (): ReadonlyMap<string, XdsResource> => {
      const all = view.resources(TypeUrl.secret);
      // Anchors of the mesh are nobody's Secret.
      const [first] = all.keys();
      if (first === undefined || (all.size === 1 && first === TRUST_BUNDLE)) return all;
      if (permission === undefined) {
        permission = permissionOf(account);
        permission.watchers.add(changed);
      }
      if (permission.allowed === true) return all;
      const bundle = all.get(TRUST_BUNDLE);
      return bundle === undefined ? none : new Map([[TRUST_BUNDLE, bundle]]);
    };
    // Asked for before the proxy does, so that its listeners need not wait for the answer.
    secrets();
    return {
      ...view,
      resources: (typeUrl) => (typeUrl === TypeUrl.secret ? secrets() : view.resources(typeUrl)),
      onChange: changes.onChange,
      close: () => {
        permission?.watchers.delete(changed);
        changes.clear();
        view.close();
      },
    };
  };

  return {
    source: { connect },
    close: () => {
      closed = true;
      for (const { callOff } of permissions.values()) callOff();
    },
  };
}

const none: ReadonlyMap<string, XdsResource> = new Map();
const secretsChanged: ReadonlySet<string> = new Set([TypeUrl.secret]);

/** The service account that a proxy has proved to be of; others get no Secrets anyway. */
function accountOf({ identity = '' }: ProxyNode): Account | undefined {
  const [, namespace, name] = /^spiffe:\/\/[^/]+\/ns\/([^/]+)\/sa\/([^/]+)$/.exec(identity) ?? [];
  return namespace !== undefined && name !== undefined ? { namespace, name } : undefined;
}
