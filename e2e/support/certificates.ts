import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface Pair {
  readonly certificate: string;
  readonly key: string;
}

/** A certificate of one host made with openssl: signed by `issuer`, else by itself (then it may sign others). */
export function certificateFor(host: string, issuer?: Pair): Pair {
  const folder = mkdtempSync(join(tmpdir(), 'istio-ts-certificate-'));
  const file = (name: string) => join(folder, name);
  try {
    if (issuer) {
      writeFileSync(file('ca.crt'), issuer.certificate);
      writeFileSync(file('ca.key'), issuer.key);
    }
    execFileSync(
      'openssl',
      [
        ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'],
        ...['-keyout', file('tls.key'), '-out', file('tls.crt'), '-subj', `/CN=${host}`],
        ...['-addext', `subjectAltName=DNS:${host}`],
        ...(issuer ? ['-CA', file('ca.crt'), '-CAkey', file('ca.key'), '-addext', 'basicConstraints=CA:FALSE'] : []),
      ],
      { stdio: 'ignore' },
    );
    return { certificate: readFileSync(file('tls.crt'), 'utf8'), key: readFileSync(file('tls.key'), 'utf8') };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Writes a certificate and its key into a folder, for programs that read files; their paths. */
export function savePair(folder: string, name: string, pair: Pair): { readonly cert: string; readonly key: string } {
  const files = { cert: join(folder, `${name}.crt`), key: join(folder, `${name}.key`) };
  writeFileSync(files.cert, pair.certificate);
  writeFileSync(files.key, pair.key);
  return files;
}

/** A Secret that holds texts. */
export function secret(name: string, data: Readonly<Record<string, string>>, type = 'Opaque'): object {
  return { apiVersion: 'v1', kind: 'Secret', metadata: { name }, type, stringData: data };
}

/** The role without which a sidecar gets no Secret, for a service account. */
export const readerOfSecrets = (account: string): readonly object[] => [
  {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'Role',
    metadata: { name: 'reads-secrets' },
    rules: [{ apiGroups: [''], resources: ['secrets'], verbs: ['list'] }],
  },
  {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'RoleBinding',
    metadata: { name: 'reads-secrets' },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'reads-secrets' },
    subjects: [{ kind: 'ServiceAccount', name: account }],
  },
];
