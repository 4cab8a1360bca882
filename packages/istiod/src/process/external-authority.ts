import { readFileSync } from 'node:fs';
import { kubernetesTypes } from '@istio-ts/api/resource-types';
import type { KubeObject } from '@istio-ts/kube';
import { type Mesh, trustDomainOf } from '@istio-ts/mesh';
import {
  type ClientTlsMaterial,
  createCsr,
  exportPrivateKey,
  generatePrivateKey,
  parseCertificates,
} from '@istio-ts/security';
import type { AuthorityKeeper } from '../authority/keeper.ts';
import { createExternalAuthority, forwardsRequests } from '../ca/external-authority.ts';
import type { CaSigner } from '../ca/service.ts';
import type { Ground } from './ground.ts';

const TOKEN_FILE = './var/run/secrets/tokens/istio-token';

/** The CA that the mesh configuration names (`ca`), as long as istiod has to do with it. */
export interface MeshAuthority {
  /** Undefined where the mesh configuration names none, or leaves it to the agents. */
  readonly signer: () => CaSigner | undefined;
  /** PEM of the trust anchors that it has answered with since istiod's start; empty while it does not sign. */
  readonly roots: () => string;
  /** `listener` is called when there are further ones. */
  readonly subscribe: (listener: () => void) => void;
  readonly close: () => void;
}

/** Follows `ca` of the mesh configuration. */
export function followMeshAuthority(
  { settings, client, logger }: Ground,
  mesh: Pick<Mesh, 'config'>,
  authority: AuthorityKeeper,
): MeshAuthority {
  const log = logger('ca', 'Signing of certificates');
  const listeners = new Set<() => void>();
  const anchors = new Map<string, string>();
  let of: string | undefined;
  const now = () => {
    const { ca } = mesh.config.current;
    return forwardsRequests(ca) ? ca : undefined;
  };
  const isUsed = () => now() !== undefined || settings.identity.needsMeshAuthority;
  const forgetOthers = (): void => {
    if (of === now()?.address) return;
    anchors.clear();
    of = now()?.address;
  };
  const signer = createExternalAuthority({
    settings: now,
    defaultTtlMs: settings.authority.defaultWorkloadTtlMs,
    maxTtlMs: settings.authority.maxWorkloadTtlMs,
    readFile: (path) => readFileSync(path, 'utf8'),
    readSecret: async (name) => secretMaterial(await client.get(kubernetesTypes.Secret, name, settings.namespace)),
    ownMaterial: () => {
      const key = generatePrivateKey();
      const { chain } = authority.current().sign({
        csr: createCsr(key, []),
        identity: {
          trustDomain: trustDomainOf(mesh.config.current),
          namespace: settings.namespace,
          serviceAccount: 'istiod',
        },
        now: new Date(),
      });
      return { cert: chain, key: exportPrivateKey(key), ca: authority.current().root };
    },
    // A new one each hour, and for a new root.
    ownVersion: () => `${Math.floor(Date.now() / 3_600_000)} ${authority.current().root}`,
    token: () => {
      try {
        return readFileSync(TOKEN_FILE, 'utf8').trim();
      } catch {
        return undefined;
      }
    },
    clusterId: settings.clusterId,
    onRoots: (pem) => {
      forgetOthers();
      const fresh = parseCertificates(pem).filter(({ fingerprint }) => !anchors.has(fingerprint));
      if (fresh.length === 0) return;
      for (const { fingerprint } of fresh) anchors.set(fingerprint, pem);
      for (const listener of listeners) listener();
    },
    log,
  });
  return {
    signer: () => (isUsed() ? signer : undefined),
    roots: () => {
      forgetOthers();
      return [...new Set(anchors.values())].join('');
    },
    subscribe: (listener) => void listeners.add(listener),
    close: signer.close,
  };
}

/** Certificate, key and authorities under the names that Secrets of gateways have them. Raises Error. */
function secretMaterial({ data }: KubeObject): ClientTlsMaterial {
  const value = (...keys: readonly string[]): string | undefined => {
    const found = keys.map((key) => (data as Readonly<Record<string, string>> | undefined)?.[key]).find(Boolean);
    return found === undefined ? undefined : Buffer.from(found, 'base64').toString();
  };
  const [cert, key, ca] = [value('tls.crt', 'cert'), value('tls.key', 'key'), value('ca.crt', 'cacert')];
  if ((cert === undefined) !== (key === undefined)) throw new Error('it has a certificate or a key, both are needed');
  return { ...(cert && { cert }), ...(key && { key }), ...(ca && { ca }) };
}
