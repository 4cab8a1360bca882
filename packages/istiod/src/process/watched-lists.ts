import { istioTypes, kubernetesTypes } from '@istio-ts/api/resource-types';
import type { ListOptions, ResourceType } from '@istio-ts/kube';
import { meshResources } from '@istio-ts/mesh';
import type { Settings } from '../settings.ts';

type Watched = Pick<Settings, 'namespace' | 'secretNamespaces' | 'watchedNamespace' | 'ignoredKinds'>;

const configuration: ReadonlySet<ResourceType> = new Set(Object.values(istioTypes));

/** Types of Secrets that no proxy can have (tokens, Helm's records): they do not even pass through istiod's memory. */
const fieldSelector = ['helm.sh/release.v1', 'kubernetes.io/service-account-token', 'bootstrap.kubernetes.io/token']
  .map((type) => `type!=${type}`)
  .join(',');

/** Whether `virtualservices.networking.istio.io` is one of such names, of which `*.istio.io` is one for many. */
const isNamed = ({ resource, group }: ResourceType, names: readonly string[]): boolean => {
  const name = `${resource}.${group}`;
  return names.some((one) => one === name || (one.startsWith('*.') && name.endsWith(one.slice(1))));
};

/** Which objects istiod asks the API server for: the kinds, and for each of them the namespaces. */
export function watchedLists(settings: Watched): {
  readonly resources: readonly ResourceType[];
  readonly lists: (resource: ResourceType) => readonly ListOptions[];
} {
  const { namespace, watchedNamespace, secretNamespaces, ignoredKinds } = settings;
  const only = watchedNamespace === undefined ? undefined : [...new Set([watchedNamespace, namespace])];
  const inNamespaces = (names: readonly string[] | undefined, more: ListOptions = {}): readonly ListOptions[] =>
    names?.map((name) => ({ namespace: name, ...more })) ?? [more];
  return {
    resources: meshResources.filter(
      (resource) =>
        !configuration.has(resource) ||
        !isNamed(resource, ignoredKinds.ignore) ||
        isNamed(resource, ignoredKinds.include),
    ),
    lists: (resource) => {
      if (!resource.namespaced) return [{}];
      if (resource !== kubernetesTypes.Secret) return inNamespaces(only);
      const both = only && secretNamespaces ? secretNamespaces.filter((name) => only.includes(name)) : undefined;
      return inNamespaces(both ?? only ?? secretNamespaces, { fieldSelector });
    },
  };
}
