import type { ConfigDump } from '@istio-ts/envoy-dump/config-dump';
import { type SecretRow, secretRows } from '@istio-ts/envoy-dump/secret';
import { describeCertificate } from '@istio-ts/security';
import { table } from '../cli/table.ts';

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
