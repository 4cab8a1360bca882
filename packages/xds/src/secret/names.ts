const kubernetes = 'kubernetes://';
const gatewayApi = 'kubernetes-gateway://';
const caSuffix = '-cacert';

/** Name of the SDS resource for a `credentialName`: names without a scheme are Secrets of Kubernetes. */
export function credentialResource(credentialName: string): string {
  return credentialName.includes('://') ? credentialName : `${kubernetes}${credentialName}`;
}

/** Name of the resource with the roots that belong to a credential. */
export const caCertificateName = (resource: string): string =>
  resource.endsWith(caSuffix) ? resource : `${resource}${caSuffix}`;

/** Which Secret a resource stands for. `namespace` is undefined where the proxy's own is meant. */
export interface SecretReference {
  readonly namespace: string | undefined;
  readonly name: string;
  /** The resource is the roots and not the certificate. */
  readonly roots: boolean;
}

/** Reads a resource's name: `kubernetes://NAME`, `kubernetes://NAMESPACE/NAME` or `kubernetes-gateway://NAMESPACE/NAME`; undefined for others. */
export function parseSecretResource(resource: string): SecretReference | undefined {
  const scheme = [kubernetes, gatewayApi].find((prefix) => resource.startsWith(prefix));
  if (scheme === undefined) return undefined;
  const rest = resource.slice(scheme.length);
  const roots = rest.endsWith(caSuffix);
  const path = roots ? rest.slice(0, -caSuffix.length) : rest;
  const slash = path.indexOf('/');
  const namespace = slash < 0 ? undefined : path.slice(0, slash);
  const name = path.slice(slash + 1);
  if (name === '' || namespace === '' || name.includes('/') || (scheme === gatewayApi && namespace === undefined))
    return undefined;
  return { namespace, name, roots };
}
