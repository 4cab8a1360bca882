import { decodeProxyConfig, type MeshConfig, type ProxyConfig } from '@istio-ts/api';
import { readYaml } from '@istio-ts/gotemplate';
import type { InjectionConfig } from './config.ts';
import { InjectionError } from './errors.ts';
import { isObject, type Json, type JsonObject, objectAt, sameJson } from './json.ts';
import { layered, type ObjectSettings } from './proxy-config-objects.ts';

/**
 * Settings of one proxy: the mesh's, under those of objects of the kind ProxyConfig, under the annotation `proxy.istio.io/config` and the older
 * annotations of single settings, under an object that selects the pod.
 */
export function proxySettings(
  mesh: ProxyConfig,
  objects: ObjectSettings,
  annotations: Readonly<Record<string, string>>,
  pod: string,
): ProxyConfig {
  const base = layered(mesh, objects.under);
  const text = annotations['proxy.istio.io/config'];
  let own: unknown = {};
  if (text !== undefined) {
    try {
      own = readYaml(text) ?? {};
    } catch (error) {
      throw new InjectionError(
        pod,
        'annotation proxy.istio.io/config',
        error instanceof Error ? error.message : String(error),
        error,
      );
    }
  }
  const single: Record<string, Json> = {};
  const address = annotations['sidecar.istio.io/discoveryAddress'];
  if (address !== undefined) single.discoveryAddress = address;
  const mode = annotations['sidecar.istio.io/interceptionMode'];
  if (mode !== undefined) single.interceptionMode = mode;
  const statusPort = annotations['status.sidecar.istio.io/port'];
  if (statusPort !== undefined) single.statusPort = Number(statusPort);
  const { value, problems } = decodeProxyConfig(isObject(own) ? { ...own, ...single } : own, base);
  const problem = problems.find((each) => each.severity === 'error');
  if (problem !== undefined) throw new InjectionError(pod, `proxy configuration ${problem.path}`, problem.message);
  return layered(value, objects.over);
}

/** What differs from the defaults, which the agent knows itself. */
export function ownSettings(settings: ProxyConfig): JsonObject {
  const defaults: Readonly<Record<string, unknown>> = { ...decodeProxyConfig({}).value };
  return Object.fromEntries(
    Object.entries(settings).filter(([key, value]) => value !== undefined && !sameJson(value, defaults[key])),
  ) as unknown as JsonObject;
}

/** Image of the proxy: a full reference as it is, else hub, name, tag and variant. */
export function proxyImage(
  values: JsonObject,
  name: Json | undefined,
  annotations: Readonly<Record<string, string>>,
  settings: ProxyConfig,
): string {
  const annotated = annotations['sidecar.istio.io/proxyImage'];
  if (annotated !== undefined && annotated !== '') return annotated;
  const image = typeof name === 'string' && name !== '' ? name : 'proxyv2';
  if (image.includes('/')) return image;
  const global = objectAt(values, 'global');
  const variant =
    annotations['sidecar.istio.io/proxyImageType'] ?? settings.image?.imageType ?? String(global.variant ?? '');
  const tag = String(global.tag ?? '').replace(/-(debug|distroless)$/, variant === '' ? '-$1' : '');
  return `${String(global.hub ?? '')}/${image}:${tag}${variant === '' || variant === 'default' ? '' : `-${variant}`}`;
}

/** Image of proxies whose pods say nothing about it. */
export function configuredProxyImage(config: InjectionConfig): string {
  const { value } = decodeProxyConfig({});
  return proxyImage(config.values, objectAt(config.values, 'global', 'proxy').image, {}, value);
}

export function mergesMetrics(mesh: MeshConfig, annotations: Readonly<Record<string, string>>): boolean {
  const own = annotations['prometheus.istio.io/merge-metrics'];
  if (own !== undefined) return own === 'true';
  return mesh.enablePrometheusMerge !== false;
}
