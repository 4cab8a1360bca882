import { type FieldProblem, ProblemList } from '../problems.ts';
import { decode } from '../schema/decode.ts';
import type { ExtensionProvider } from './extension-providers.ts';
import { checkAuthorities } from './certificate-authority.ts';
import { checkExternalAuthorizer } from './external-authorizer.ts';
import { mergeProxyConfig } from './merge-proxy-config.ts';
import { type MeshConfig, type MeshNetworks, meshConfig, meshNetworks } from './mesh-config.ts';
import { type ProxyConfig, proxyConfig } from './proxy-config.ts';

// Mesh configuration is protobuf's JSON in a ConfigMap: newer fields than ours must not break an older control plane.
const options = { unknownFields: 'warning', snakeCase: true } as const;

/** Providers that exist without being configured (Istio's default mesh configuration). */
const builtInProviders: readonly ExtensionProvider[] = [
  { name: 'prometheus', prometheus: {} },
  { name: 'stackdriver', stackdriver: {} },
  { name: 'envoy', envoyFileAccessLog: { path: '/dev/stdout' } },
];

/**
 * Reads the mesh configuration (the decoded YAML of key `mesh` of the ConfigMap `istio`) and fills in Istio's defaults.
 * A provider replaces the built-in one of the same name. What cannot be read keeps its default and is reported.
 */
export function decodeMeshConfig(value: unknown): {
  readonly value: MeshConfig;
  readonly problems: readonly FieldProblem[];
} {
  const problems = new ProblemList();
  const config = decode(meshConfig, value ?? {}, '', problems, options);
  checkAuthorities(config, problems);
  const providers = new Map(builtInProviders.map((provider) => [provider.name, provider]));
  const seen = new Set<string>();
  config.extensionProviders.forEach((provider, index) => {
    if (seen.has(provider.name)) {
      problems.error(`extensionProviders[${index}].name`, `the name ${JSON.stringify(provider.name)} is used twice`);
    }
    seen.add(provider.name);
    checkExternalAuthorizer(provider, `extensionProviders[${index}]`, problems);
    providers.set(provider.name, provider);
  });
  return { value: { ...config, extensionProviders: [...providers.values()] }, problems: problems.problems };
}

/** Istio's mesh configuration when nothing is configured. */
export function defaultMeshConfig(): MeshConfig {
  return decodeMeshConfig({}).value;
}

/** Reads the proxies' settings of one pod or ProxyConfig annotation on top of `base` (the mesh's `defaultConfig`), see `mergeProxyConfig`. */
export function decodeProxyConfig(
  value: unknown,
  base?: ProxyConfig,
): { readonly value: ProxyConfig; readonly problems: readonly FieldProblem[] } {
  const problems = new ProblemList();
  const own = isFields(value) ? value : {};
  if (value !== undefined && value !== null && !isFields(value)) problems.error('', 'must be a mapping');
  const merged = mergeProxyConfig({ ...base }, own);
  return { value: decode(proxyConfig, merged, '', problems, options), problems: problems.problems };
}

/** Reads the networks of the mesh (key `meshNetworks` of the ConfigMap `istio`). */
export function decodeMeshNetworks(value: unknown): {
  readonly value: MeshNetworks;
  readonly problems: readonly FieldProblem[];
} {
  const problems = new ProblemList();
  return { value: decode(meshNetworks, value ?? {}, '', problems, options), problems: problems.problems };
}

function isFields(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
