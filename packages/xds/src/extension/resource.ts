import type { AsyncDataSource, PluginConfig, TypedExtensionConfig } from '@istio-ts/envoy';
import type { ProxyScope } from '@istio-ts/mesh/model';
import { encodeResource } from '../engine/resource.ts';
import { extensionType } from '../engine/type-urls.ts';
import { patchesOf } from '../envoy-filter/patch-set.ts';
import { memoByInputs } from '../memo.ts';
import type { XdsResource } from '../source.ts';
import { typed } from '../typed.ts';
import { isLocalFile, type Plugin, pluginsOf, type WasmModule } from './plugin.ts';

/** What an agent has to know to fetch a module stands among its environment variables, under these names; the agent takes them out. */
export const PULL_SECRET = 'ISTIO_META_WASM_IMAGE_PULL_SECRET';
export const PULL_POLICY = 'ISTIO_META_WASM_IMAGE_PULL_POLICY';

const FAIL = { FAIL_CLOSE: 'FAIL_CLOSED', FAIL_OPEN: 'FAIL_OPEN', FAIL_RELOAD: 'FAIL_RELOAD' } as const;

/** Envoy takes only a module whose checksum it knows; agents look at it where there is one. */
const UNKNOWN_CHECKSUM = 'nil';

function codeOf({ url, sha256 }: WasmModule): AsyncDataSource {
  if (isLocalFile(url)) return { local: { filename: new URL(url).pathname } };
  return {
    remote: {
      httpUri: { uri: url.includes('://') ? url : `oci://${url}`, cluster: '_', timeout: '30s' },
      sha256: sha256 || UNKNOWN_CHECKSUM,
    },
  };
}

function pluginConfig(plugin: Plugin, module: WasmModule, secret: string | undefined): PluginConfig {
  const env = module.vmConfig?.env ?? [];
  const host = env.filter(({ valueFrom }) => valueFrom === 'HOST').map(({ name }) => name);
  const values: Record<string, string> = {};
  for (const { name, value, valueFrom } of env) if (valueFrom !== 'HOST') values[name] = value ?? '';
  if (!isLocalFile(module.url)) {
    if (module.imagePullPolicy === 'Always' || module.imagePullPolicy === 'IfNotPresent')
      values[PULL_POLICY] = module.imagePullPolicy;
    if (secret !== undefined) values[PULL_SECRET] = secret;
  }
  const hasEnv = host.length > 0 || Object.keys(values).length > 0;
  return {
    name: plugin.name,
    ...(module.pluginName && { rootId: module.pluginName }),
    vmConfig: {
      runtime: 'envoy.wasm.runtime.v8',
      code: codeOf(module),
      ...(hasEnv && {
        environmentVariables: {
          ...(host.length > 0 && { hostEnvKeys: host }),
          ...(Object.keys(values).length > 0 && { keyValues: values }),
        },
      }),
    },
    ...(module.pluginConfig && {
      configuration: {
        '@type': 'type.googleapis.com/google.protobuf.StringValue',
        value: JSON.stringify(module.pluginConfig),
      },
    }),
    failurePolicy: FAIL[module.failStrategy ?? 'FAIL_CLOSE'],
  };
}

function configOf(plugin: Plugin, secret: string | undefined): TypedExtensionConfig {
  const { code, filter, name } = plugin;
  if (code.kind === 'lua')
    return {
      name,
      typedConfig: typed('envoy.extensions.filters.http.lua.v3.Lua', {
        defaultSourceCode: { inlineString: code.script },
      }),
    };
  const config = pluginConfig(plugin, code.module, secret);
  return {
    name,
    typedConfig:
      filter === 'network'
        ? typed('envoy.extensions.filters.network.wasm.v3.Wasm', { config })
        : typed('envoy.extensions.filters.http.wasm.v3.Wasm', { config }),
  };
}

/** Resources that hold credentials: only for proxies that have proved to be of the plugin's namespace. */
const confidential = new WeakSet<XdsResource>();
export const holdsSecret = (resource: XdsResource): boolean => confidential.has(resource);

const encoded = memoByInputs(
  ({ plugin, secret }: { readonly plugin: Plugin; readonly secret: string | undefined }) => [plugin, secret],
  ({ plugin, secret }): XdsResource => {
    const resource = encodeResource(extensionType, plugin.name, {
      resource: configOf(plugin, secret),
      origins: [plugin.origin],
    });
    if (secret !== undefined) confidential.add(resource);
    return resource;
  },
);

/** Credentials of a registry as Docker keeps them (JSON), by namespace and name of the Secret. */
export type RegistryCredentials = (namespace: string, name: string) => string | undefined;

/** Configuration of the filters that listeners name and do not hold: those of plugins, and those that EnvoyFilters bring (EXTENSION_CONFIG). */
export function extensionResources(scope: ProxyScope, credentials: RegistryCredentials): Map<string, XdsResource> {
  const result = new Map<string, XdsResource>();
  for (const plugin of pluginsOf(scope)) {
    const name = plugin.code.kind === 'wasm' ? plugin.code.module.imagePullSecret : undefined;
    // The secret has to be in the namespace of the workload (WasmPlugin reference, imagePullSecret).
    const secret = name ? credentials(scope.proxy.namespace, name) : undefined;
    result.set(plugin.name, encoded({ plugin, secret }));
  }
  for (const patch of patchesOf(scope).extensions?.patches ?? []) {
    const name = String(patch.value.name ?? '');
    if (name === '' || result.has(name)) continue;
    result.set(name, encodeResource(extensionType, name, { resource: patch.value, origins: [patch.origin] }));
  }
  return result;
}
