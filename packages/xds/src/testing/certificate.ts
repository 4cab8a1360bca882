import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A self-signed certificate and its key, in PEM form, made by openssl; `extension` is one more X.509 extension in openssl's words. */
export function selfSigned(
  name: string,
  { subject = `/CN=${name}`, extension }: { readonly subject?: string; readonly extension?: string } = {},
): { readonly certificate: string; readonly key: string } {
  const pem = execFileSync(
    'openssl',
    [
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-nodes',
      '-keyout',
      '-',
      '-out',
      '-',
      '-days',
      '2',
      '-subj',
      subject,
      ...(extension === undefined ? [] : ['-addext', extension]),
    ],
    { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] },
  );
  const part = (label: RegExp): string => `${label.exec(pem)?.[0] ?? ''}\n`;
  return {
    certificate: part(/-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/),
    key: part(/-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]+?-----END [A-Z ]*PRIVATE KEY-----/),
  };
}

export interface Pair {
  readonly certificate: string;
  readonly key: string;
}

function inFolder<T>(work: (file: (name: string) => string) => T): T {
  const folder = mkdtempSync(join(tmpdir(), 'certificate-'));
  try {
    return work((name) => join(folder, name));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A certificate for a DNS name (or the names in `names`, as openssl writes them) that `issuer` signs; with an elliptic curve unless RSA is asked for. */
export function signedBy(
  issuer: Pair,
  name: string,
  { rsa = false, names = `DNS:${name}` }: { readonly rsa?: boolean; readonly names?: string } = {},
): Pair {
  return inFolder((file) => {
    writeFileSync(file('ca.crt'), issuer.certificate);
    writeFileSync(file('ca.key'), issuer.key);
    const algorithm = rsa ? ['rsa:2048'] : ['ec', '-pkeyopt', 'ec_paramgen_curve:P-256'];
    execFileSync(
      'openssl',
      [
        ...['req', '-x509', '-newkey', ...algorithm, '-nodes', '-days', '2', '-subj', `/CN=${name}`],
        ...['-keyout', file('tls.key'), '-out', file('tls.crt'), '-CA', file('ca.crt'), '-CAkey', file('ca.key')],
        ...['-addext', 'basicConstraints=CA:FALSE', '-addext', `subjectAltName=${names}`],
      ],
      { stdio: 'ignore' },
    );
    return { certificate: readFileSync(file('tls.crt'), 'utf8'), key: readFileSync(file('tls.key'), 'utf8') };
  });
}

/** A list by which `issuer` revokes a certificate that it signed. */
export function revocation(issuer: Pair, certificate: string): string {
  return inFolder((file) => {
    writeFileSync(file('ca.crt'), issuer.certificate);
    writeFileSync(file('ca.key'), issuer.key);
    writeFileSync(file('revoked.crt'), certificate);
    writeFileSync(file('index.txt'), '');
    writeFileSync(file('number'), '01');
    writeFileSync(
      file('ca.conf'),
      `[ca]\ndefault_ca=one\n[one]\ndatabase=${file('index.txt')}\ncrlnumber=${file('number')}\ndefault_md=sha256\ndefault_crl_days=2\n`,
    );
    const ca = ['ca', '-config', file('ca.conf'), '-cert', file('ca.crt'), '-keyfile', file('ca.key')];
    execFileSync('openssl', [...ca, '-revoke', file('revoked.crt')], { stdio: 'ignore' });
    execFileSync('openssl', [...ca, '-gencrl', '-out', file('list.pem')], { stdio: 'ignore' });
    return readFileSync(file('list.pem'), 'utf8');
  });
}
