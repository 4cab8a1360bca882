/** What configuration asks of Envoy that not every Envoy in use has. */
export type EnvoyFeature =
  /** The access logger that makes metrics, with everything that Istio's standard metrics need of it. */
  | 'metrics'
  /** Retry policies of clusters. */
  | 'cluster retries';

/** The first version of Envoy that has a feature: seen with versions 1.36 to 1.40; retry policies of clusters as its release notes say. */
const SINCE: Readonly<Record<EnvoyFeature, { readonly major: number; readonly minor: number }>> = {
  metrics: { major: 1, minor: 39 },
  'cluster retries': { major: 1, minor: 37 },
};

/** Features that an Envoy is too old for, undefined when it has all. A client that tells no version is taken for a current one. */
export function missingFeatures(
  version: { readonly major: number; readonly minor: number } | undefined,
): readonly EnvoyFeature[] | undefined {
  if (version === undefined) return undefined;
  const features = Object.keys(SINCE) as EnvoyFeature[];
  const missing = features.filter((feature) => {
    const { major, minor } = SINCE[feature];
    return version.major < major || (version.major === major && version.minor < minor);
  });
  return missing.length > 0 ? missing : undefined;
}
