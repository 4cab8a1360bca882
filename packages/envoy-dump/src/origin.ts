import { at, type Json } from './json.ts';

/**
 * `name.namespace` of the object that a resource of Envoy came from: its metadata `istio.config` is the path of a VirtualService
 * (`virtual-service`) or a DestinationRule (`destination-rule`). Empty when there is none of this kind.
 */
export function originOf(resource: Json, kind: 'virtual-service' | 'destination-rule'): string {
  const path = at(resource, 'metadata', 'filterMetadata', 'istio', 'config');
  if (typeof path !== 'string') return '';
  const [, namespace, found, name] = /\/namespaces\/([^/]+)\/([^/]+)\/([^/]+)$/.exec(path) ?? [];
  return found === kind || found === kind.replace('-', '') ? `${name}.${namespace}` : '';
}
