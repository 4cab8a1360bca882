import { readFileSync } from 'node:fs';
import {
  decodeMeshConfig,
  decodeMeshNetworks,
  defaultMeshConfig,
  formatProblem,
  type MeshConfig,
  type MeshNetworks,
  VERSION,
} from '@istio-ts/api';
import { type KubeObject, parseYaml } from '@istio-ts/kube';
import { fields, list, text, textMap } from '@istio-ts/mesh/kubernetes/read';
import { generateOffline, type OfflineProxy, typeUrls, type XdsResource } from '@istio-ts/xds';
import { CliError, unreadable, usageExitCode } from '../cli/failure.ts';
import { formatFrom, structured } from '../cli/output.ts';
import type { Session } from '../cli/session.ts';
import { readManifestFiles, standardInput } from './manifest-files.ts';

export interface GenerateFlags {
  readonly filename?: readonly string[];
  readonly proxy?: string;
  readonly proxyType?: NonNullable<OfflineProxy['type']>;
  readonly labels?: readonly string[];
  readonly metadata?: readonly string[];
  readonly name?: string;
  readonly meshConfigFile?: string;
  readonly output: string;
  readonly why: boolean;
}

type TypeName = keyof typeof typeUrls;

const isTypeName = (name: string): name is TypeName => Object.hasOwn(typeUrls, name);
const clusterKinds = new Set(['Node', 'Namespace']);

/**
 * `istioctl experimental generate [TYPE] -f FILE --proxy NAME[.NAMESPACE]`: the resources that istiod sends to that proxy, made by the same code out of
 * files alone. Ends with 1 where a resource cannot be made.
 */
export async function runGenerate(session: Session, flags: GenerateFlags, type?: string): Promise<number> {
  const format = formatFrom(flags.output, ['yaml', 'json']);
  if (format === 'short') throw new CliError('-o: use yaml or json', usageExitCode);
  const types = typesOf(type);
  if (!flags.proxy) throw new CliError('name a proxy with --proxy NAME[.NAMESPACE]', usageExitCode);
  const paths = flags.filename ?? [];
  if (paths.length === 0)
    throw new CliError('name manifests or folders with -f, or - for standard input', usageExitCode);
  const files = readManifestFiles(paths, standardInput);
  const broken = files.flatMap(({ problems }) => problems);
  if (broken.length > 0) throw new CliError(broken.map((one) => `${one.file}:${one.line}: ${one.reason}`).join('\n'));
  const fallback = session.flags.namespace ?? 'default';
  const objects = files.flatMap((file) => file.objects.map(({ object }) => stored(object, fallback)));

  const meshConfig = meshConfigOf(session, flags, objects);
  const proxy = proxyOf(session, flags, objects, fallback);
  const { resources, problems, errors } = generateOffline(objects, proxy, {
    meshConfig,
    meshNetworks: meshNetworksOf(session, objects),
  });
  for (const { origin, path, message, onlyPart } of problems)
    session.err(
      `${origin.kind} ${origin.namespace}/${origin.name} is ${onlyPart ? 'in force without a part' : 'left out'}: ${path}: ${message}\n`,
    );
  for (const { type: failed, name, error } of errors)
    session.err(`${failed} ${name}: ${error instanceof Error ? error.message : String(error)}\n`);

  const wanted = nameMatcher(flags.name);
  const shown = types.map((one): [TypeName, unknown[]] => [
    one,
    (resources.get(typeUrls[one]) ?? [])
      .filter(({ name }) => wanted(name))
      .sort((a, b) => (a.name < b.name ? -1 : 1))
      .map((resource) => (flags.why ? explained(resource) : resource.json())),
  ]);
  const [first] = shown;
  const value =
    types.length === 1 && first ? first[1] : Object.fromEntries(shown.map(([one, all]) => [plural(one), all]));
  session.out(structured(value, format));
  return errors.length > 0 ? 1 : 0;
}

function typesOf(type: string | undefined): readonly TypeName[] {
  const all = Object.keys(typeUrls).filter(isTypeName);
  if (type === undefined) return all;
  const name = type.replace(/s$/, '');
  if (!isTypeName(name))
    throw new CliError(`"${type}" is no type of configuration: use one of ${all.join(', ')}`, usageExitCode);
  return [name];
}

const plural = (type: TypeName): string => `${type}s`;

/** Fields of the mesh configuration that resources depend on which no object asks for. */
const meshFields: Readonly<Record<string, readonly string[]>> = {
  BlackHoleCluster: ['outboundTrafficPolicy.mode', 'connectTimeout'],
  PassthroughCluster: ['outboundTrafficPolicy.mode', 'defaultTrafficPolicy', 'connectTimeout', 'tcpKeepalive'],
  InboundPassthroughCluster: ['inboundTrafficPolicy.mode', 'connectTimeout', 'tcpKeepalive'],
  virtualOutbound: ['proxyListenPort', 'outboundTrafficPolicy.mode', 'accessLogFile'],
  virtualInbound: ['proxyInboundListenPort', 'inboundTrafficPolicy.mode', 'accessLogFile'],
};

const explained = (resource: XdsResource) => ({
  name: resource.name,
  from:
    resource.origins.length > 0
      ? resource.origins.map(({ kind, namespace, name }) => ({ kind, ...(namespace && { namespace }), name }))
      : // What no object asks for is there because of the mesh configuration.
        [{ kind: 'MeshConfig', ...(meshFields[resource.name] && { fields: meshFields[resource.name] }) }],
  resource: resource.json(),
});

/** As an API server would have stored it: in a namespace. */
function stored(object: KubeObject, namespace: string): KubeObject {
  if (object.metadata.namespace || clusterKinds.has(object.kind)) return object;
  return { ...object, metadata: { ...object.metadata, namespace } };
}

function nameMatcher(pattern: string | undefined): (name: string) => boolean {
  if (pattern === undefined) return () => true;
  const parts = pattern.split('*');
  return (name) => {
    const [start = '', ...rest] = parts;
    if (!name.startsWith(start)) return false;
    let at = start.length;
    for (const [i, part] of rest.entries()) {
      const last = i === rest.length - 1;
      const found = last ? name.length - part.length : name.indexOf(part, at);
      if (found < at || !name.startsWith(part, found)) return false;
      at = found + part.length;
    }
    return at === name.length;
  };
}

function meshConfigOf(session: Session, flags: GenerateFlags, objects: readonly KubeObject[]): MeshConfig {
  let yaml: unknown;
  let file = flags.meshConfigFile;
  if (file !== undefined) {
    try {
      yaml = readFileSync(file, 'utf8');
    } catch (error) {
      throw new CliError(`${file}: ${unreadable(error)}`);
    }
  } else {
    yaml = meshConfigMap(session, objects).mesh;
    file = 'ConfigMap istio';
  }
  if (typeof yaml !== 'string') return defaultMeshConfig();
  const { value, problems } = decodeMeshConfig(parseYaml(yaml, file));
  for (const problem of problems) session.err(`${file}: ${formatProblem(problem)}\n`);
  return value;
}

/** The networks of the mesh: key `meshNetworks` of the ConfigMap among the manifests. */
function meshNetworksOf(session: Session, objects: readonly KubeObject[]): MeshNetworks {
  const yaml = meshConfigMap(session, objects).meshNetworks;
  const { value, problems } = decodeMeshNetworks(typeof yaml === 'string' ? parseYaml(yaml, 'meshNetworks') : {});
  for (const problem of problems) session.err(`ConfigMap istio: meshNetworks: ${formatProblem(problem)}\n`);
  return value;
}

/** The data of the ConfigMap of the mesh configuration. */
function meshConfigMap(session: Session, objects: readonly KubeObject[]): Readonly<Record<string, unknown>> {
  const map = objects.find(
    ({ kind, metadata }) =>
      kind === 'ConfigMap' && metadata.name === 'istio' && metadata.namespace === session.flags.istioNamespace,
  );
  return fields(map?.data);
}

/** What of a pod, or of the template of pods, says what its proxy is. */
interface PodShape {
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly containers: readonly unknown[];
  readonly serviceAccount: string;
  readonly workload: string;
}

function shapeOf(object: KubeObject): PodShape | undefined {
  const spec = fields(object.spec);
  const template = fields(spec.template);
  const isPod = object.kind === 'Pod';
  if (!isPod && template.spec === undefined) return undefined;
  const meta = isPod ? fields(object.metadata) : fields(template.metadata);
  const pod = isPod ? spec : fields(template.spec);
  return {
    labels: textMap(meta.labels),
    annotations: textMap(meta.annotations),
    containers: list(pod.containers),
    serviceAccount: text(pod.serviceAccountName) || 'default',
    workload: object.metadata.name ?? '',
  };
}

function pairs(name: string, values: readonly string[]): Readonly<Record<string, string>> {
  return Object.fromEntries(
    values.map((value) => {
      const at = value.indexOf('=');
      if (at <= 0) throw new CliError(`--${name}: "${value}" is not KEY=VALUE`, usageExitCode);
      return [value.slice(0, at), value.slice(at + 1)];
    }),
  );
}

/** The proxy that the flags name, with what the manifests say of its pod. */
function proxyOf(
  session: Session,
  flags: GenerateFlags,
  objects: readonly KubeObject[],
  fallback: string,
): OfflineProxy {
  const word = flags.proxy ?? '';
  const dot = word.lastIndexOf('.');
  const name = dot < 0 ? word : word.slice(0, dot);
  const namespace = dot < 0 ? fallback : word.slice(dot + 1);
  if (name === '' || namespace === '') throw new CliError(`--proxy: "${word}" is not NAME[.NAMESPACE]`, usageExitCode);
  const workloads = objects.flatMap((object) => {
    const shape = shapeOf(object);
    return shape === undefined ? [] : [{ object, shape }];
  });
  const found = workloads.find(
    ({ object }) => object.metadata.name === name && object.metadata.namespace === namespace,
  );
  if (found === undefined && flags.labels === undefined && flags.proxyType === undefined) {
    const known = workloads.map(({ object }) => `${object.metadata.name}.${object.metadata.namespace}`);
    session.err(
      `no manifest has a pod or workload ${name}.${namespace}, so nothing is known of its labels (give them with --labels)${known.length > 0 ? `; there are ${known.slice(0, 10).join(', ')}` : ''}\n`,
    );
  }
  const shape = found?.shape;
  const isGateway = shape?.annotations['inject.istio.io/templates']?.split(',').includes('gateway') === true;
  const router = isGateway || shape?.labels.istio?.endsWith('gateway') === true;
  const status = fields(found?.object.status);
  return {
    type: flags.proxyType ?? (router ? 'router' : 'sidecar'),
    name,
    namespace,
    ...(text(status.podIP) !== '' && { ipAddress: text(status.podIP) }),
    labels: { ...shape?.labels, ...pairs('labels', flags.labels ?? []) },
    identity: `spiffe://cluster.local/ns/${namespace}/sa/${shape?.serviceAccount ?? 'default'}`,
    metadata: {
      ISTIO_VERSION: VERSION,
      ...(shape && {
        WORKLOAD_NAME: shape.workload,
        SERVICE_ACCOUNT: shape.serviceAccount,
        POD_PORTS: JSON.stringify(shape.containers.flatMap((container) => list(fields(container).ports))),
      }),
      ...pairs('metadata', flags.metadata ?? []),
    },
  };
}
