interface Numbers {
  readonly major: number;
  readonly minor: number;
  readonly patch: number;
}

/** Reads `1.30.0`, `1.30.0-distroless`, `1.30-alpha.abc`; undefined for what is no version. */
export function versionNumbers(version: string): Numbers | undefined {
  const found = /^v?(\d+)\.(\d+)(?:\.(\d+))?/.exec(version);
  return found ? { major: Number(found[1]), minor: Number(found[2]), patch: Number(found[3] ?? 0) } : undefined;
}

/** So many minor versions may be left out on the way up (Istio: "Before you upgrade", one minor version after the other). */
const mostMinors = 1;

/** Why a control plane of one version is not to be replaced in place by another; undefined where it may. */
export function obstacleToUpgrade(from: string, to: string): string | undefined {
  const old = versionNumbers(from);
  const next = versionNumbers(to);
  if (!old || !next) return `the installed version "${from}" is not one that can be compared with ${to}`;
  if (old.major !== next.major) return `${from} and ${to} are different major versions`;
  if (old.minor > next.minor || (old.minor === next.minor && old.patch > next.patch))
    return `${to} is older than the installed ${from}: configuration that only the newer version knows would be lost. Use the istioctl of ${from} or newer`;
  const skipped = next.minor - old.minor;
  if (skipped > mostMinors)
    return `${from} to ${to} skips ${skipped - mostMinors} minor versions. Upgrade to ${old.major}.${old.minor + mostMinors} first, with the istioctl of that version, or install ${to} beside it (istioctl install --revision) and move namespaces over`;
  return undefined;
}
