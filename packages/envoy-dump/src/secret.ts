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
