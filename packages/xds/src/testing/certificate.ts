import { execFileSync } from 'node:child_process';

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
