import { generateKeyPairSync } from 'node:crypto';
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type KeyAndCertificate, makeCertificate, stillGood } from './certificates.ts';

/** Keys and certificates of the cluster, kept in the state directory (files of mode 0600). */
export interface Credentials {
  readonly ca: string;
  readonly serving: KeyAndCertificate;
  readonly admin: KeyAndCertificate;
  /** PEM, PKCS #8: signs the tokens of service accounts. */
  readonly serviceAccountKey: string;
}

const CA_NAME = 'kubernetes';
const DAY = 86_400_000;

function store(path: string, content: string): void {
  writeFileSync(`${path}.new`, content, { mode: 0o600 });
  renameSync(`${path}.new`, path);
}

function stored(directory: string, name: string): KeyAndCertificate | undefined {
  const key = join(directory, `${name}.key`);
  const certificate = join(directory, `${name}.crt`);
  if (!existsSync(key) || !existsSync(certificate)) return undefined;
  return { key: readFileSync(key, 'utf8'), certificate: readFileSync(certificate, 'utf8') };
}

function keep(directory: string, name: string, pair: KeyAndCertificate): KeyAndCertificate {
  store(join(directory, `${name}.key`), pair.key);
  store(join(directory, `${name}.crt`), pair.certificate);
  return pair;
}

/** Reads the credentials; makes what is missing, about to expire, or (serving certificate) does not cover `sans`. */
export function loadCredentials(directory: string, sans: readonly string[], now: Date): Credentials {
  const notBefore = new Date(now.getTime() - 3_600_000);
  const years = (count: number) => new Date(now.getTime() + count * 365 * DAY);
  const ca =
    stored(directory, 'ca') ??
    keep(directory, 'ca', makeCertificate({ commonName: CA_NAME, usage: 'ca', notBefore, notAfter: years(10) }));
  const issuer = { ...ca, commonName: CA_NAME };
  let serving = stored(directory, 'apiserver');
  if (serving === undefined || !stillGood(serving.certificate, sans, now)) {
    const request = { commonName: 'kube-apiserver', sans, usage: 'server', notBefore, notAfter: years(2) } as const;
    serving = keep(directory, 'apiserver', makeCertificate(request, issuer));
  }
  let admin = stored(directory, 'admin');
  if (admin === undefined || !stillGood(admin.certificate, [], now)) {
    const request = {
      commonName: 'kubernetes-admin',
      organizations: ['system:masters'],
      usage: 'client',
      notBefore,
      notAfter: years(2),
    } as const;
    admin = keep(directory, 'admin', makeCertificate(request, issuer));
  }
  const keyFile = join(directory, 'sa.key');
  if (!existsSync(keyFile)) {
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    store(keyFile, String(privateKey.export({ type: 'pkcs8', format: 'pem' })));
  }
  return { ca: ca.certificate, serving, admin, serviceAccountKey: readFileSync(keyFile, 'utf8') };
}
