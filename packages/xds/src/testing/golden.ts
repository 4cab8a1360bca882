import { readFileSync } from 'node:fs';
import { decodeMeshConfig } from '@istio-ts/api';
import { parseManifests } from '@istio-ts/kube/manifests';
import type { KubeObject } from '@istio-ts/kube/object';
import { dump } from 'js-yaml';
import { generateOffline, type OfflineProxy, typeUrls } from '../engine/index.ts';

/** What the charts write into every mesh configuration. */
const ofChart = { defaultProviders: { metrics: ['prometheus'] } };

/**
 * A golden test is a pair of files: `NAME.in.yaml` holds objects, among them
 * - `kind: Proxy` (apiVersion `golden/v1`), for which configuration is generated: `metadata.name`, `metadata.namespace`, `metadata.labels` and in
 *   `spec` `type`, `locality`, `metadata`; `spec.show` says which resources the test is about: type (`cluster`, `endpoint`, `listener`, `route`,
 *   `secret`) to patterns of names, in which `*` stands for anything;
 * - optionally `kind: MeshConfig` (apiVersion `golden/v1`), whose `spec` is the mesh configuration.
 * `NAME.out.yaml` holds those resources with the objects that they came from, and the problems that were found.
 */
export function runGolden(file: string): string {
  const objects = parseManifests(readFileSync(file, 'utf8'), file);
  const own = objects.filter((object) => object.apiVersion === 'golden/v1');
  const proxy = own.find((object) => object.kind === 'Proxy');
  if (!proxy) throw new Error(`${file}: an object of kind Proxy is missing`);
  const meshConfig = own.find((object) => object.kind === 'MeshConfig');
  const spec = (proxy.spec ?? {}) as {
    readonly show?: Readonly<Record<string, readonly string[]>>;
  } & Partial<OfflineProxy>;
  const { resources, problems, errors } = generateOffline(
    objects.filter((object) => object.apiVersion !== 'golden/v1').map(stored),
    {
      ...spec,
      name: proxy.metadata.name ?? '',
      namespace: proxy.metadata.namespace ?? 'default',
      ...(proxy.metadata.labels && { labels: proxy.metadata.labels }),
    },
    { ...(meshConfig && { meshConfig: decodeMeshConfig({ ...ofChart, ...(meshConfig.spec as object) }).value }) },
  );
  const shown: Record<string, unknown[]> = {};
  for (const [type, patterns] of Object.entries(spec.show ?? {})) {
    if (!Object.hasOwn(typeUrls, type)) throw new Error(`${file}: spec.show.${type}: there is no such type`);
    const list = resources.get(typeUrls[type as keyof typeof typeUrls]) ?? [];
    shown[type] = list
      .filter((resource) => patterns.some((pattern) => matches(pattern, resource.name)))
      .sort((a, b) => (a.name < b.name ? -1 : 1))
      .map((resource) => ({
        from: resource.origins.map((origin) => `${origin.kind} ${origin.namespace}/${origin.name}`),
        resource: resource.json(),
      }));
  }
  const result = {
    ...shown,
    ...(problems.length > 0 && {
      problems: problems.map(
        (one) => `${one.origin.kind} ${one.origin.namespace}/${one.origin.name}: ${one.path}: ${one.message}`,
      ),
    }),
    ...(errors.length > 0 && { errors: errors.map((one) => `${one.type} ${one.name}: ${String(one.error)}`) }),
  };
  return dump(result, { lineWidth: 160, noRefs: true, sortKeys: false });
}

/** As an API server would have stored it: in a namespace. */
function stored(object: KubeObject): KubeObject {
  if (object.metadata.namespace || object.kind === 'Node' || object.kind === 'Namespace') return object;
  return { ...object, metadata: { ...object.metadata, namespace: 'default' } };
}

function matches(pattern: string, name: string): boolean {
  const parts = pattern.split('*').map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`^${parts.join('.*')}$`).test(name);
}
