import {
  asDecoded,
  fn,
  FunctionError,
  type FunctionTable,
  getKey,
  type GoMap,
  GoObject,
  type GoValue,
  isMap,
  readYaml,
  toText,
  variadic,
  writeJson,
  writeYaml,
} from '@istio-ts/gotemplate';
import { isObject, type JsonObject, listAt, textMap } from './json.ts';

/** The data behind a struct's view, or the value itself. */
function plain(value: GoValue): unknown {
  return value instanceof GoObject ? value.toJSON() : value;
}

function annotationsOf(meta: GoValue): Readonly<Record<string, string>> {
  const data = plain(meta);
  return isObject(data) ? textMap(data.annotations) : {};
}

/** Names of the containers that are the user's own. */
export function appContainers(spec: unknown): readonly string[] {
  return [...listAt(spec, 'containers')]
    .map((container) => String(container.name))
    .filter((name) => name !== 'istio-proxy' && name !== '');
}

/** Ports that the user's containers declare, as node metadata carries them. */
function podPorts(spec: unknown): string {
  const ports = listAt(spec, 'containers')
    .filter((container) => container.name !== 'istio-proxy')
    .flatMap((container) => listAt(container, 'ports'))
    .map(
      (port): JsonObject => ({
        ...(port.name === undefined ? {} : { name: port.name }),
        containerPort: port.containerPort,
        protocol: port.protocol ?? 'TCP',
      }),
    );
  return JSON.stringify(ports);
}

/** Canonical name of the service behind a workload (Istio's documentation, "Canonical services"). */
export function canonicalName(labels: Readonly<Record<string, string>>, workload: string): string {
  return labels['service.istio.io/canonical-name'] || labels['app.kubernetes.io/name'] || labels.app || workload;
}

export function canonicalRevision(labels: Readonly<Record<string, string>>): string {
  return (
    labels['service.istio.io/canonical-revision'] || labels['app.kubernetes.io/version'] || labels.version || 'latest'
  );
}

/** The functions that injection templates have beside Sprig's and Helm's. */
export const INJECTION_FUNCTIONS: FunctionTable = {
  annotation: fn(['any', 'string', 'any'], (meta, name, fallback) => {
    const found = annotationsOf(meta);
    return Object.hasOwn(found, name) ? found[name] : fallback === null ? '' : toText(plain(fallback));
  }),
  isset: fn(['any', 'string'], (map, key) => isMap(plain(map)) && getKey(plain(map) as GoMap, key) !== undefined),
  valueOrDefault: fn(['any', 'any'], (value, fallback) =>
    value === null || value === '' || value === 0 ? fallback : value,
  ),
  toJSON: fn(['any'], (value) => writeJson(plain(value))),
  structToJSON: fn(['any'], (value) => writeJson(plain(value))),
  protoToJSON: fn(['any'], (value) => writeJson(plain(value), { raw: true })),
  fromJSON: fn(['string'], (text) => {
    try {
      return asDecoded(text === '' ? {} : JSON.parse(text));
    } catch (error) {
      throw new FunctionError(`not JSON: ${error instanceof Error ? error.message : String(error)}`);
    }
  }),
  fromYAML: fn(['string'], (text) => asDecoded(readYaml(text))),
  toYAML: fn(['any'], (value) => writeYaml(plain(value)).replace(/\n$/, '')),
  toLower: fn(['any'], (value) => toText(value).toLowerCase()),
  directory: fn(['string'], (path) => path.slice(0, path.lastIndexOf('/') + 1)),
  strdict: variadic([], 'string', (_, words) =>
    Object.fromEntries(words.flatMap((key, i) => (i % 2 === 0 ? [[key, words[i + 1] ?? '']] : []))),
  ),
  omitNil: fn(['map'], (map) =>
    Object.fromEntries(Object.entries(map).filter(([, value]) => value !== null && value !== undefined)),
  ),
  // Annotations about CPU or memory replace all of the mesh's values, so that no limit lies under a request.
  proxyResources: fn(['any', 'any'], (meta, fallback) => {
    const found = annotationsOf(meta);
    const pick = (cpu: string, memory: string): Record<string, string> => ({
      ...(found[cpu] ? { cpu: found[cpu] } : {}),
      ...(found[memory] ? { memory: found[memory] } : {}),
    });
    const requests = pick('sidecar.istio.io/proxyCPU', 'sidecar.istio.io/proxyMemory');
    const limits = pick('sidecar.istio.io/proxyCPULimit', 'sidecar.istio.io/proxyMemoryLimit');
    const none = Object.keys(requests).length === 0 && Object.keys(limits).length === 0;
    if (none) return fallback ?? {};
    return {
      ...(Object.keys(requests).length > 0 ? { requests } : {}),
      ...(Object.keys(limits).length > 0 ? { limits } : {}),
    };
  }),
  // The agent's own port must stay reachable without the proxy.
  excludeInboundPort: fn(['any', 'any'], (port, list) => {
    const own = toText(port);
    const ports = toText(list)
      .split(',')
      .map((each) => each.trim())
      .filter((each) => each !== '');
    return own === '' || own === '0' || ports.includes(own) ? ports.join(',') : [...ports, own].join(',');
  }),
  podPorts: fn(['any'], (spec) => podPorts(plain(spec))),
  appContainers: fn(['any'], (spec) => appContainers(plain(spec)).join(',')),
  firstAppContainer: fn(['any'], (spec) => appContainers(plain(spec))[0] ?? ''),
  applicationPorts: fn(['any'], (containers) =>
    (Array.isArray(containers) ? containers.map(plain) : [])
      .flatMap((container) => listAt(container, 'ports'))
      .map((port) => String(port.containerPort))
      .join(','),
  ),
  canonicalName: fn(['any', 'any'], (labels, workload) =>
    canonicalName(textMap(labels), workload === null ? '' : toText(workload)),
  ),
  canonicalRevision: fn(['any'], (labels) => canonicalRevision(textMap(labels))),
  appendMultusNetwork: fn(['any', 'string'], (existing, network) => {
    const list = existing === null ? '' : toText(existing).trim();
    if (list === '') return network;
    if (!list.startsWith('['))
      return list.split(',').some((each) => each.trim() === network) ? list : `${list}, ${network}`;
    const [namespace, name] = network.includes('/') ? network.split('/') : [undefined, network];
    return list.includes(`"${name}"`)
      ? list
      : `${list.replace(/\s*\]$/, '')}, ${JSON.stringify({ ...(namespace === undefined ? {} : { namespace }), name })}]`;
  }),
  env: fn(['string', 'string'], (_, fallback) => fallback),
};
