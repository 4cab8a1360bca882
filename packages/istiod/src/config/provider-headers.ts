import type { MeshConfig } from '@istio-ts/api';

/**
 * The mesh configuration with headers of providers that are to have their value from a variable of istiod (`envName`). One whose variable is not set is
 * left without a value, and not sent; `missing` names these.
 */
export function withProviderHeaders(
  mesh: MeshConfig,
  env: Readonly<Record<string, string | undefined>>,
): { readonly mesh: MeshConfig; readonly missing: readonly string[] } {
  const missing: string[] = [];
  const visit = (value: unknown, path: string): unknown => {
    if (Array.isArray(value))
      return value.map((item, i) => {
        const name: unknown = path === 'extensionProviders' ? item?.name : undefined;
        return visit(item, `${path}[${typeof name === 'string' ? `name=${name}` : i}]`);
      });
    if (typeof value !== 'object' || value === null) return value;
    if ('envName' in value && typeof value.envName === 'string' && value.envName !== '') {
      const { envName, ...header } = value;
      const found = env[envName];
      if (found === undefined)
        missing.push(`${path}.envName: istiod has no variable ${envName}: the header is not sent`);
      return found === undefined ? header : { ...header, value: found };
    }
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, visit(inner, `${path}.${key}`)]));
  };
  const { extensionProviders } = mesh;
  if (!JSON.stringify(extensionProviders).includes('"envName"')) return { mesh, missing };
  const changed = visit(extensionProviders, 'extensionProviders') as MeshConfig['extensionProviders'];
  return { mesh: { ...mesh, extensionProviders: changed }, missing };
}
