import { type KeyAlgorithm, P256 } from '@istio-ts/security/keys';
import { type Environment, type VariableName, variables } from '../environment.ts';
import { durationMs, SettingsError } from '../setting-values.ts';

/** How the CA works; times in milliseconds. */
export interface AuthoritySettings {
  /** ROOT_CA_DIR */
  readonly folder: string;
  /** USE_CACERTS_FOR_SELF_SIGNED_CA */
  readonly selfSignedInCacerts: boolean;
  /** CITADEL_SELF_SIGNED_CA_CERT_TTL */
  readonly rootTtlMs: number;
  /** CITADEL_SELF_SIGNED_ROOT_CERT_CHECK_INTERVAL */
  readonly checkIntervalMs: number;
  /** CITADEL_SELF_SIGNED_ROOT_CERT_GRACE_PERIOD_PERCENTILE */
  readonly gracePercentile: number;
  /** CITADEL_ENABLE_JITTER_FOR_ROOT_CERT_ROTATOR */
  readonly jitter: boolean;
  /** CITADEL_SELF_SIGNED_CA_RSA_KEY_SIZE; elliptic curves where it is not set. */
  readonly algorithm: KeyAlgorithm;
  /** DEFAULT_WORKLOAD_CERT_TTL */
  readonly defaultWorkloadTtlMs: number;
  /** MAX_WORKLOAD_CERT_TTL */
  readonly maxWorkloadTtlMs: number;
  /** PILOT_CA_CERT_CONFIGMAP */
  readonly rootConfigMap: string;
  /** PILOT_CRL_CONFIGMAP; undefined without PILOT_ENABLE_CA_CRL. */
  readonly crlConfigMap: string | undefined;
  /** ENABLE_CLUSTER_TRUST_BUNDLE_API */
  readonly clusterTrustBundle: boolean;
}

/** Reads the settings of the CA. Raises {@link SettingsError}. */
export function authoritySettings(env: Environment): AuthoritySettings {
  const duration = (name: VariableName & keyof Environment): number => {
    const ms = durationMs(name, env[name] || variables[name].default);
    if (ms === 0) throw new SettingsError(`${name}: the time must be longer than nothing`);
    return ms;
  };
  const whole = (name: VariableName & keyof Environment, least: number, greatest: number): number => {
    const value = Number(env[name] || variables[name].default);
    if (!Number.isInteger(value) || value < least || value > greatest)
      throw new SettingsError(`${name}: '${env[name]}' is not a number from ${least} to ${greatest}`);
    return value;
  };
  const bits = env.CITADEL_SELF_SIGNED_CA_RSA_KEY_SIZE
    ? whole('CITADEL_SELF_SIGNED_CA_RSA_KEY_SIZE', 2048, 8192)
    : undefined;
  const defaultWorkloadTtlMs = duration('DEFAULT_WORKLOAD_CERT_TTL');
  const maxWorkloadTtlMs = duration('MAX_WORKLOAD_CERT_TTL');
  if (defaultWorkloadTtlMs > maxWorkloadTtlMs)
    throw new SettingsError('DEFAULT_WORKLOAD_CERT_TTL: the time is longer than MAX_WORKLOAD_CERT_TTL');
  return {
    folder: env.ROOT_CA_DIR || variables.ROOT_CA_DIR.default,
    selfSignedInCacerts: env.USE_CACERTS_FOR_SELF_SIGNED_CA === 'true',
    rootTtlMs: duration('CITADEL_SELF_SIGNED_CA_CERT_TTL'),
    checkIntervalMs: duration('CITADEL_SELF_SIGNED_ROOT_CERT_CHECK_INTERVAL'),
    gracePercentile: whole('CITADEL_SELF_SIGNED_ROOT_CERT_GRACE_PERIOD_PERCENTILE', 1, 99),
    jitter: env.CITADEL_ENABLE_JITTER_FOR_ROOT_CERT_ROTATOR !== 'false',
    algorithm: bits === undefined ? P256 : { kind: 'rsa', bits },
    defaultWorkloadTtlMs,
    maxWorkloadTtlMs,
    rootConfigMap: env.PILOT_CA_CERT_CONFIGMAP || variables.PILOT_CA_CERT_CONFIGMAP.default,
    crlConfigMap:
      env.PILOT_ENABLE_CA_CRL === 'false'
        ? undefined
        : env.PILOT_CRL_CONFIGMAP || variables.PILOT_CRL_CONFIGMAP.default,
    clusterTrustBundle: env.ENABLE_CLUSTER_TRUST_BUNDLE_API === 'true',
  };
}
