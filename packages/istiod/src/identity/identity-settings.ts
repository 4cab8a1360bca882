import type { Environment } from '../environment.ts';
import type { TrustedIssuer } from './issuer-authenticator.ts';

/** A variable about identities that cannot be used; the message names it. */
export class IdentitySettingsError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'IdentitySettingsError';
  }
}

/** Whom istiod believes beside the API server, and who may speak for others. */
export interface IdentitySettings {
  /** JWT_RULE and TOKEN_ISSUER. */
  readonly issuers: readonly TrustedIssuer[];
  /** CA_TRUSTED_NODE_ACCOUNTS: service accounts of node proxies, `NAMESPACE/NAME`. */
  readonly nodeAccounts: ReadonlySet<string>;
  /** EXTERNAL_CA: signers of the cluster give the certificates; undefined where istiod signs itself. */
  readonly externalCa: ExternalCaSettings | undefined;
  /** EXTERNAL_CA=ISTIOD_RA_ISTIO_API: the CA that MeshConfig `ca` names signs, istiod itself never. */
  readonly needsMeshAuthority: boolean;
  /** PILOT_CERT_PROVIDER. */
  readonly ownCertificate: OwnCertificateSource;
}

/** Who gives istiod's servers their certificate: its own CA, a signer of the cluster, or files that are mounted. */
export type OwnCertificateSource =
  | { readonly kind: 'ca' }
  | { readonly kind: 'signer'; readonly signer: string }
  | {
      readonly kind: 'files';
      /** Instead of Istio's places for them (flags tlsCertFile, tlsKeyFile, caCertFile). */
      readonly at?: { readonly certificate: string; readonly key: string; readonly root: string | undefined };
    };

export interface ExternalCaSettings {
  /** K8S_SIGNER. */
  readonly defaultSigner: string;
  /** CERT_SIGNER_DOMAIN. */
  readonly signerDomain: string;
}

/** Reads the variables. Raises {@link IdentitySettingsError}. */
export function readIdentitySettings(env: Environment, tokenAudiences: readonly string[]): IdentitySettings {
  return {
    issuers: [...ruleIssuer(env.JWT_RULE, tokenAudiences), ...namedIssuer(env, tokenAudiences)],
    nodeAccounts: nodeAccounts(env.CA_TRUSTED_NODE_ACCOUNTS ?? ''),
    externalCa: externalCa(env),
    needsMeshAuthority: env.EXTERNAL_CA === MESH_AUTHORITY,
    ownCertificate: ownCertificate(env.PILOT_CERT_PROVIDER || 'istiod'),
  };
}

/** A rule as in RequestAuthentication, in JSON. */
function ruleIssuer(text: string | undefined, tokenAudiences: readonly string[]): readonly TrustedIssuer[] {
  if (text === undefined || text.trim() === '') return [];
  const refuse = (reason: string): never => {
    throw new IdentitySettingsError(
      `JWT_RULE: ${reason}; expected is JSON such as {"issuer":"https://issuer.example","jwksUri":"https://issuer.example/keys","audiences":["istio-ca"]}`,
    );
  };
  let rule: unknown;
  try {
    rule = JSON.parse(text);
  } catch {
    return refuse('it is not JSON');
  }
  if (typeof rule !== 'object' || rule === null || Array.isArray(rule)) return refuse('it is no object');
  const { issuer, audiences, jwksUri, jwks_uri: otherUri, jwks, ...more } = rule as Readonly<Record<string, unknown>>;
  const [unknownField] = Object.keys(more);
  if (unknownField !== undefined) return refuse(`the field ${unknownField} has no meaning for istiod’s own tokens`);
  const textOf = (value: unknown, name: string): string =>
    value === undefined || typeof value === 'string' ? (value ?? '') : refuse(`${name} is no text`);
  const named = textOf(issuer, 'issuer');
  if (named === '') return refuse('it has no issuer');
  if (audiences !== undefined && !(Array.isArray(audiences) && audiences.every((one) => typeof one === 'string')))
    return refuse('audiences is no list of texts');
  const trusted: TrustedIssuer = {
    issuer: named,
    audiences: audiences !== undefined && audiences.length > 0 ? (audiences as string[]) : tokenAudiences,
    jwksUri: textOf(jwksUri ?? otherUri, 'jwksUri'),
    jwks: textOf(jwks, 'jwks'),
  };
  const url = trusted.jwks !== '' ? '' : trusted.jwksUri || trusted.issuer;
  if (url !== '' && !/^https?:\/\//.test(url))
    return refuse(
      `${trusted.jwksUri === '' ? 'issuer' : 'jwksUri'} "${url.slice(0, 100)}" is no URL to fetch keys from`,
    );
  return [trusted];
}

/** Inside Kubernetes the API server judges the tokens of its own issuer, and knows of pods that are gone. */
function namedIssuer(env: Environment, tokenAudiences: readonly string[]): readonly TrustedIssuer[] {
  const issuer = env.TOKEN_ISSUER ?? '';
  if (issuer === '' || env.KUBERNETES_SERVICE_HOST) return [];
  if (!/^https?:\/\//.test(issuer)) throw new IdentitySettingsError(`TOKEN_ISSUER: "${issuer}" is no URL`);
  return [{ issuer, audiences: env.AUDIENCE ? [env.AUDIENCE] : tokenAudiences, jwksUri: '', jwks: '' }];
}

function nodeAccounts(text: string): ReadonlySet<string> {
  const accounts = text
    .split(',')
    .map((account) => account.trim())
    .filter((account) => account !== '');
  for (const account of accounts)
    if (!/^[a-z0-9.-]+\/[a-z0-9.-]+$/.test(account))
      throw new IdentitySettingsError(
        `CA_TRUSTED_NODE_ACCOUNTS: "${account}" is no service account; expected is NAMESPACE/NAME`,
      );
  return new Set(accounts);
}

const MESH_AUTHORITY = 'ISTIOD_RA_ISTIO_API';

function externalCa(env: Environment): ExternalCaSettings | undefined {
  const kind = env.EXTERNAL_CA ?? '';
  if (kind === '' || kind === MESH_AUTHORITY) return undefined;
  if (kind !== 'ISTIOD_RA_KUBERNETES_API')
    throw new IdentitySettingsError(
      `EXTERNAL_CA: "${kind}" is not known; ISTIOD_RA_KUBERNETES_API has signers of the cluster give the certificates, ISTIOD_RA_ISTIO_API the CA that meshConfig.ca names`,
    );
  const settings = { defaultSigner: env.K8S_SIGNER ?? '', signerDomain: env.CERT_SIGNER_DOMAIN ?? '' };
  if (settings.defaultSigner === '' && settings.signerDomain === '')
    throw new IdentitySettingsError(
      'EXTERNAL_CA=ISTIOD_RA_KUBERNETES_API needs a signer: K8S_SIGNER, or CERT_SIGNER_DOMAIN and ISTIO_META_CERT_SIGNER of proxies',
    );
  if (settings.defaultSigner !== '' && !/^[\w.-]+\/[\w./-]+$/.test(settings.defaultSigner))
    throw new IdentitySettingsError(`K8S_SIGNER: "${settings.defaultSigner}" is no signer; expected is DOMAIN/NAME`);
  return settings;
}

function ownCertificate(provider: string): OwnCertificateSource {
  if (provider === 'istiod') return { kind: 'ca' };
  if (provider === 'custom') return { kind: 'files' };
  const signer = provider.startsWith('k8s.io/') ? provider.slice('k8s.io/'.length) : '';
  if (/^[\w.-]+\/[\w./-]+$/.test(signer)) return { kind: 'signer', signer };
  throw new IdentitySettingsError(
    `PILOT_CERT_PROVIDER: "${provider}" is not known; give istiod, custom (files in ./var/run/secrets/istiod/tls), or k8s.io/DOMAIN/NAME for a signer of the cluster`,
  );
}

/**
 * The files that flags name instead of what PILOT_CERT_PROVIDER says; undefined where they name none. Raises {@link IdentitySettingsError} for one
 * without the others that it needs.
 */
export function flaggedCertificate(flags: {
  readonly certificate: string | undefined;
  readonly key: string | undefined;
  readonly root: string | undefined;
}): OwnCertificateSource | undefined {
  const { certificate, key, root } = flags;
  if (!certificate && !key && !root) return undefined;
  if (!certificate || !key)
    throw new IdentitySettingsError(
      `--${certificate ? 'tlsKeyFile' : 'tlsCertFile'} is missing: istiod's own certificate from files needs --tlsCertFile and --tlsKeyFile, and --caCertFile where it does not lead to the CA's root`,
    );
  return { kind: 'files', at: { certificate, key, root: root || undefined } };
}
