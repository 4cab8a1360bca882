import {
  type AuthorityMaterial,
  CLOCK_SKEW_MS,
  createRootCertificate,
  describeCertificate,
  type KeyAlgorithm,
  mergeBundles,
} from '@istio-ts/security';

/** A self-signed root as it is stored, and the one that will follow it where that has been made already. */
export interface StoredRoot {
  readonly material: AuthorityMaterial;
  readonly next?: { readonly certificate: string; readonly key: string };
}

export interface RotationRule {
  /** Organisation in the subject of a new root: the trust domain. */
  readonly organization: string;
  /** Lifetime of a new root (CITADEL_SELF_SIGNED_CA_CERT_TTL), milliseconds. */
  readonly rootTtlMs: number;
  /** Share of its lifetime, in percent, before the end of a root in which its successor is made (CITADEL_SELF_SIGNED_ROOT_CERT_GRACE_PERIOD_PERCENTILE). */
  readonly gracePercentile: number;
  /** Longest life of a workload's certificate (MAX_WORKLOAD_CERT_TTL), milliseconds. */
  readonly maxWorkloadTtlMs: number;
  readonly algorithm: KeyAlgorithm;
}

export interface RotationStep {
  /** `published`: a successor exists and is trusted; `switched`: it signs; `retired`: roots whose time is over are no longer trusted. */
  readonly kind: 'published' | 'switched' | 'retired';
  readonly stored: StoredRoot;
}

/**
 * When the successor of a root starts to sign: when every certificate from before it was trusted has ended, so that each holder has asked again and knows
 * both roots, whatever kind of agent it has. Where the old root does not live that long, at the middle of what is left.
 */
export function switchTime(old: { readonly notAfter: Date }, next: { readonly notBefore: Date }, rule: RotationRule) {
  const published = next.notBefore.getTime() + CLOCK_SKEW_MS;
  return published + Math.min(rule.maxWorkloadTtlMs, Math.max(0, old.notAfter.getTime() - published) / 2);
}

/**
 * The step that is due in the life of a self-signed root, or undefined. A pure function of what is stored and of the time, so that replicas agree:
 * 1. In its grace period a successor with a key of its own is made, and trusted beside it; the old root signs on.
 * 2. At `switchTime` the successor signs; the old root stays trusted.
 * 3. A root that has ended is trusted no longer: nothing that it signed is valid.
 */
export function dueStep(stored: StoredRoot, rule: RotationRule, now: Date): RotationStep | undefined {
  const { material, next } = stored;
  const current = describeCertificate(material.certificate);
  const alive = (bundles: readonly string[]): string => mergeBundles(bundles, ({ notAfter }) => notAfter > now);
  const at = now.getTime();
  if (next !== undefined && at >= switchTime(current, describeCertificate(next.certificate), rule)) {
    const root = alive([next.certificate, material.root]);
    return { kind: 'switched', stored: { material: { ...next, chain: '', root } } };
  }
  if (next !== undefined) {
    // Whoever wrote the secret last may have left the successor out of the bundle.
    const root = alive([material.root, material.certificate, next.certificate]);
    return root.trim() === mergeBundles([material.root]).trim()
      ? undefined
      : { kind: 'published', stored: { material: { ...material, root }, next } };
  }
  const life = current.notAfter.getTime() - current.notBefore.getTime();
  if (at >= current.notAfter.getTime() - (life * rule.gracePercentile) / 100) {
    const { certificate, key } = createRootCertificate({
      organization: rule.organization,
      ttl: rule.rootTtlMs,
      algorithm: rule.algorithm,
      now,
    });
    // One that ended while nobody looked leaves nothing to be patient for.
    if (at >= current.notAfter.getTime())
      return { kind: 'switched', stored: { material: { certificate, key, chain: '', root: certificate } } };
    const root = alive([material.certificate, material.root, certificate]);
    return { kind: 'published', stored: { material: { ...material, root }, next: { certificate, key } } };
  }
  const root = alive([material.root]);
  return root !== '' && root.trim() !== mergeBundles([material.root]).trim()
    ? { kind: 'retired', stored: { material: { ...material, root } } }
    : undefined;
}
