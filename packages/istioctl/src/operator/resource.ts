import { isJsonObject, type JsonObject } from '@istio-ts/charts';
import type { KubeObject, ResourceType } from '@istio-ts/kube';
import { type ComponentName, componentTitles } from '../install/components.ts';

/** Where the API server serves IstioOperator objects. */
export const istioOperatorType: ResourceType = {
  group: 'install.istio.io',
  version: 'v1alpha1',
  resource: 'istiooperators',
  kind: 'IstioOperator',
  namespaced: true,
};

/** Keeps an IstioOperator until what it installed is removed. */
export const finalizer = 'istio-finalizer.install.istio.io';
/** `true`: the operator leaves the installation as it is. */
export const ignoreAnnotation = 'install.istio.io/ignoreReconcile';

export type Health = 'NONE' | 'UPDATING' | 'RECONCILING' | 'HEALTHY' | 'ERROR' | 'ACTION_REQUIRED';

/** `status` of an IstioOperator (Istio, "IstioOperator Options", InstallStatus). */
export interface OperatorStatus {
  readonly status: Health;
  readonly message?: string;
  readonly observedGeneration?: number;
  readonly componentStatus?: Readonly<
    Record<string, { readonly status: Health; readonly version?: string; readonly error?: string }>
  >;
}

export const keyOf = ({ metadata }: KubeObject): string => `${metadata.namespace ?? ''}/${metadata.name ?? ''}`;
export const specOf = (object: KubeObject): JsonObject => (isJsonObject(object.spec) ? object.spec : {});
/** Revision of the control plane that an IstioOperator is about. */
export const revisionOf = (object: KubeObject): string => String(specOf(object).revision || 'default');
/** Namespace of its control plane, where the IstioOperator says one itself. */
export const ownNamespace = (object: KubeObject): string | undefined => {
  const { namespace, values } = specOf(object);
  const global = isJsonObject(values) && isJsonObject(values.global) ? values.global : {};
  const named = namespace ?? global.istioNamespace;
  return typeof named === 'string' && named !== '' ? named : undefined;
};

/** The part that a step of the installation is about, by the title that it shows to people. */
export function componentOf(title: string): ComponentName | undefined {
  return (Object.keys(componentTitles) as ComponentName[]).find((name) => componentTitles[name].title === title);
}
