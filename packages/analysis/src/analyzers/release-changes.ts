import { fields, list } from '@istio-ts/mesh/kubernetes/read';
import type { Analyzer } from '../analyzer.ts';

/** Something that behaves differently from a release on, unless a setting of istiod says otherwise. */
interface ReleaseChange {
  /** First minor release with the new behaviour. */
  readonly release: string;
  /** Environment variable of istiod that decides. */
  readonly variable: string;
  readonly info: string;
  /** The version whose profile keeps the old behaviour. */
  readonly compatVersion: string;
}

const changes: readonly ReleaseChange[] = [
  {
    release: '1.27',
    variable: 'ENABLE_NATIVE_SIDECARS',
    info: 'on Kubernetes 1.33 or later proxies are init containers that stay (native sidecars) instead of ordinary containers.',
    compatVersion: '1.26',
  },
];

const minor = (version: string): number => {
  const [, major = '0', minor = '0'] = /^v?(\d+)\.(\d+)/.exec(version) ?? [];
  return Number(major) * 1000 + Number(minor);
};

/** What behaves differently after an upgrade from a version; one analyzer for each version that it is made for. */
export const releaseChanges = (from: string): Analyzer => ({
  name: 'upgrade.ReleaseChanges',
  description: `Finds what behaves differently after an upgrade from ${from}`,
  inputs: ['Deployment'],
  run: (context) => {
    const istiods = context
      .objects('Deployment')
      .filter(({ namespace, labels }) => namespace === context.snapshot.istioNamespace && labels.app === 'istiod');
    for (const { release, variable, info, compatVersion } of changes) {
      if (minor(from) >= minor(release)) continue;
      for (const istiod of istiods) {
        const pod = fields(fields(fields(istiod.object.spec).template).spec);
        const decided = list(pod.containers)
          .flatMap((container) => list(fields(container).env))
          .some((entry) => fields(entry).name === variable);
        if (!decided)
          context.report(istiod, 'UpdateIncompatibility', { field: variable, release, info, compatVersion });
      }
      if (istiods.length === 0)
        context.report(undefined, 'UnknownUpgradeCompatibility', { field: variable, release, info, compatVersion });
    }
  },
});
