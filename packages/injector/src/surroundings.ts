import type { KubeObject } from '@istio-ts/kube/object';
import type { InjectionInput } from './inject.ts';
import { objectAt, textMap } from './json.ts';
import { type NativeSidecarSetting, usesNativeSidecars } from './native-sidecars.ts';
import { readProxyConfigObject } from './proxy-config-objects.ts';
import { proxyIdsOf } from './proxy-ids.ts';
import type { TrustBundle } from './trust-bundle.ts';

/** The objects of a cluster that injection depends on beside its own configuration. */
export interface Surroundings {
  /** Of the kind ProxyConfig, of all namespaces. */
  readonly proxyConfigs: readonly KubeObject[];
  readonly nodes: readonly KubeObject[];
  /** The pod's namespace; undefined where it is not known. */
  readonly namespace: KubeObject | undefined;
  readonly nativeSidecars: NativeSidecarSetting;
  /** Undefined where it is not known, so that the installation's setting counts. */
  readonly trustBundle?: TrustBundle;
}

/** What of the surroundings reaches a pod. The webhook and `kube-inject` share it, so that they give the same. */
export function fromSurroundings(
  surroundings: Surroundings,
): Pick<InjectionInput, 'proxyConfigs' | 'nativeSidecars' | 'proxyUid' | 'proxyGid' | 'trustBundle'> {
  const { uid, gid } = proxyIdsOf(textMap(objectAt(surroundings.namespace, 'metadata').annotations));
  const kubelets = surroundings.nodes.map((node) => String(objectAt(node, 'status', 'nodeInfo').kubeletVersion ?? ''));
  return {
    proxyConfigs: surroundings.proxyConfigs.map(readProxyConfigObject),
    nativeSidecars: usesNativeSidecars(surroundings.nativeSidecars, kubelets),
    proxyUid: uid,
    proxyGid: gid,
    ...(surroundings.trustBundle !== undefined && { trustBundle: surroundings.trustBundle }),
  };
}
