import { describeCertificate } from '@istio-ts/security';
import { table } from '../cli/table.ts';
import { type ConfigDump, section } from './config-dump.ts';

type Json = Readonly<Record<string, unknown>>;
const list = (value: unknown): readonly Json[] => (Array.isArray(value) ? (value as readonly Json[]) : []);

export interface SecretRow {
  readonly name: string;
  readonly type: 'Cert Chain' | 'CA' | '';
  readonly state: 'ACTIVE' | 'WARMING';
  /** PEM, when Envoy has it. */
  readonly pem: string | undefined;
}

function pemOf(source: Json | undefined): string | undefined {
  if (typeof source?.inline_bytes === 'string') return Buffer.from(source.inline_bytes, 'base64').toString('utf8');
  return typeof source?.inline_string === 'string' ? source.inline_string : undefined;
}

/** The secrets of an Envoy, out of its configuration dump (private keys are redacted there). */
export function secretRows(dump: ConfigDump): readonly SecretRow[] {
  const part = section(dump, 'SecretsConfigDump') ?? {};
  const read =
    (state: SecretRow['state']) =>
    (entry: Json): SecretRow => {
      const secret = (entry.secret ?? {}) as Json;
      const chain = secret.tls_certificate as Json | undefined;
      const trust = secret.validation_context as Json | undefined;
      return {
        name: String(entry.name),
        type: chain ? 'Cert Chain' : trust ? 'CA' : '',
        state,
        pem: pemOf((chain?.certificate_chain ?? trust?.trusted_ca) as Json | undefined),
      };
    };
  return [
    ...list(part.dynamic_active_secrets).map(read('ACTIVE')),
    ...list(part.dynamic_warming_secrets).map(read('WARMING')),
    ...list(part.static_secrets).map(read('ACTIVE')),
  ];
}

const seconds = (date: Date) => date.toISOString().replace(/\.\d+Z$/, 'Z');

/** The table of `istioctl proxy-config secret`. `now` decides whether a certificate is valid. */
export function secretTable(rows: readonly SecretRow[], now: Date): string {
  // Envoy keeps a secret once for each way in which it was asked for; for people it is one.
  const distinct = [...new Map(rows.map((row) => [JSON.stringify(row), row])).values()];
  return table(
    ['RESOURCE NAME', 'TYPE', 'STATUS', 'VALID CERT', 'SERIAL NUMBER', 'NOT AFTER', 'NOT BEFORE', 'TRUST DOMAIN'],
    distinct.map(({ name, type, state, pem }) => {
      if (!pem) return [name, type, state, 'false', '', '', '', ''];
      const { serial, notAfter, notBefore, spiffe } = describeCertificate(pem);
      const trustDomain = /^spiffe:\/\/([^/]+)/.exec(spiffe ?? '')?.[1] ?? '';
      return [
        name,
        type,
        state,
        String(now >= notBefore && now <= notAfter),
        serial,
        seconds(notAfter),
        seconds(notBefore),
        trustDomain,
      ];
    }),
  );
}
