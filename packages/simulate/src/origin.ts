import { at, type Json, list, text } from '@istio-ts/envoy-dump/json';

/** An object of the Kubernetes API by its name. */
export interface ObjectName {
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
}

const capital = (word: string): string => word.slice(0, 1).toUpperCase() + word.slice(1);

/** The object of a path `/apis/networking.istio.io/v1/namespaces/NS/virtual-service/NAME`, which is what the metadata `istio.config` holds. */
export function objectOfPath(path: string): ObjectName | undefined {
  const [, namespace = '', kind = '', name = ''] = /\/namespaces\/([^/]+)\/([^/]+)\/([^/]+)$/.exec(path) ?? [];
  return name === '' ? undefined : { kind: kind.split('-').map(capital).join(''), namespace, name };
}

/** The object that a resource of Envoy came from: its metadata `istio.config`. */
export function originOf(resource: Json): readonly ObjectName[] {
  const path = at(resource, 'metadata', 'filterMetadata', 'istio', 'config');
  const origin = typeof path === 'string' ? objectOfPath(path) : undefined;
  return origin === undefined ? [] : [origin];
}

/** The services of Kubernetes that a cluster's metadata names. */
export const servicesOf = (cluster: Json): readonly ObjectName[] =>
  list(at(cluster, 'metadata', 'filterMetadata', 'istio', 'services')).flatMap(({ name, namespace, host }) =>
    /\.svc\./.test(text(host)) ? [{ kind: 'Service', namespace: text(namespace), name: text(name) }] : [],
  );

/** The AuthorizationPolicy of a rule's name in Envoy: `ns[NAMESPACE]-policy[NAME]-rule[INDEX]`. */
export function policyOf(rule: string): (ObjectName & { readonly rule: string }) | undefined {
  const [, namespace = '', name = '', index = ''] = /ns\[([^\]]*)\]-policy\[([^\]]*)\]-rule\[(\d+)\]/.exec(rule) ?? [];
  return name === '' ? undefined : { kind: 'AuthorizationPolicy', namespace, name, rule: index };
}
