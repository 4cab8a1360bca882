import type { Capabilities } from '@istio-ts/charts';
import type { KubeClient } from '@istio-ts/kube';
import { OperatorError } from './failure.ts';

interface Groups {
  readonly groups?: readonly {
    readonly versions?: readonly { readonly groupVersion?: string }[];
  }[];
}

/** Version and served API versions of a cluster, for charts that ask for them. Raises OperatorError when it cannot be asked. */
export async function clusterCapabilities(client: KubeClient): Promise<Capabilities> {
  try {
    const version = (await client.request('GET', '/version')) as { readonly gitVersion?: string };
    const groups = (await client.request('GET', '/apis')) as Groups;
    return {
      kubeVersion: version.gitVersion ?? 'v1.33.0',
      apiVersions: [
        'v1',
        ...(groups.groups ?? []).flatMap((group) =>
          (group.versions ?? []).flatMap(({ groupVersion }) => (groupVersion === undefined ? [] : [groupVersion])),
        ),
      ],
    };
  } catch (error) {
    throw new OperatorError(`--cluster-specific: the cluster cannot be asked: ${(error as Error).message}`);
  }
}
