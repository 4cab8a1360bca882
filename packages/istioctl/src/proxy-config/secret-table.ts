import { describeCertificate } from '@istio-ts/security';
import { table } from '../cli/table.ts';
import { type ConfigDump, section } from './config-dump.ts';
import { at, type Json, list, object, text } from './json.ts';

export interface SecretRow {
  readonly name: string;
  readonly type: 'Cert Chain' | 'CA' | '';
  readonly state: 'ACTIVE' | 'WARMING';
  /** PEM, when Envoy has it. */
  readonly pem: string | undefined;
}

function pemOf(source: unknown): string | undefined {
  const bytes = at(source, 'inlineBytes');
  if (typeof bytes === 'string') return Buffer.from(bytes, 'base64').toString('utf8');
  const inline = at(source, 'inlineString');
  return typeof inline === 'string' ? inline : undefined;
}

/** The secrets of an Envoy, out of its configuration dump (private keys are redacted there). */
export function secretRows(dump: ConfigDump): readonly SecretRow[] {
  const part = section(dump, 'SecretsConfigDump') ?? {};
  const read =
    (state: SecretRow['state']) =>
    (entry: Json): SecretRow => {
      const secret = object(entry.secret);
      const chain = secret.tlsCertificate;
      // A combined context wraps the roots together with the names that are accepted.
      const trust = secret.validationContext;
      return {
        name: text(entry.name) || text(secret.name),
        type: chain ? 'Cert Chain' : trust ? 'CA' : '',
        state,
        pem: pemOf(at(chain, 'certificateChain') ?? at(trust, 'trustedCa')),
      };
    };
  return [
    ...list(part.dynamicActiveSecrets).map(read('ACTIVE')),
    ...list(part.dynamicWarmingSecrets).map(read('WARMING')),
    ...list(part.staticSecrets).map(read('ACTIVE')),
  ];
}

const seconds = (date: Date) => date.toISOString().replace(/\.\d+Z$/, 'Z');

/** The certificate of a row, or undefined where there is none that can be read. */
function certificateOf(pem: string | undefined): ReturnType<typeof describeCertificate> | undefined {
  if (pem === undefined) return undefined;
  try {
    return describeCertificate(pem);
  } catch {
    return undefined;
  }
}

/** The table of `istioctl proxy-config secret`. `now` decides whether a certificate is valid; one that cannot be read is not. */
export function secretTable(rows: readonly SecretRow[], now: Date): string {
  // Envoy keeps a secret once for each way in which it was asked for; for people it is one.
  const distinct = [...new Map(rows.map((row) => [JSON.stringify(row), row])).values()];
  return table(
    ['RESOURCE NAME', 'TYPE', 'STATUS', 'VALID CERT', 'SERIAL NUMBER', 'NOT AFTER', 'NOT BEFORE', 'TRUST DOMAIN'],
    distinct.map(({ name, type, state, pem }) => {
      const certificate = certificateOf(pem);
      if (certificate === undefined) return [name, type, state, 'false'];
      const { serial, notAfter, notBefore, spiffe } = certificate;
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
    3,
  );
}

/** Fingerprints of the mesh's roots (`ROOTCA`) that an Envoy trusts. Empty when it has none that can be read. */
export function rootFingerprints(dump: ConfigDump): readonly string[] {
  const roots = secretRows(dump).filter(({ name, type }) => name === 'ROOTCA' && type === 'CA');
  const blocks = roots.flatMap(
    ({ pem }) => pem?.match(/-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g) ?? [],
  );
  const prints = blocks.flatMap((block) => certificateOf(block)?.fingerprint ?? []);
  return [...new Set(prints)].sort();
}
