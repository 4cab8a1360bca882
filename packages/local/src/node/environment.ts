import type { ConfigMap, Container, EnvVar, Pod, Secret, Service } from '../controllers/kinds.ts';
import { nameOf, namespaceOf, uidOf } from '../controllers/kinds.ts';
import { divideQuantity } from './quantity.ts';

/** An environment or volume that refers to something that is not there; shown as CreateContainerConfigError or FailedMount. */
export class ConfigError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'ConfigError';
  }
}

export interface Lookup {
  readonly configMap: (namespace: string, name: string) => ConfigMap | undefined;
  readonly secret: (namespace: string, name: string) => Secret | undefined;
}

export interface PodFacts {
  readonly podIP: string;
  readonly hostIP: string;
  readonly nodeName: string;
  /** What a container without limits may use. */
  readonly allocatable: Readonly<Record<string, string>>;
}

/** The environment of a container without what its image brings. Throws `ConfigError`. */
export function containerEnvironment(
  pod: Pod,
  container: Container,
  services: readonly Service[],
  lookup: Lookup,
  facts: PodFacts,
): Record<string, string> {
  const env: Record<string, string> = serviceVariables(pod, services);
  const namespace = namespaceOf(pod);
  for (const { prefix = '', configMapRef, secretRef } of container.envFrom ?? []) {
    if (configMapRef !== undefined) {
      const map = lookup.configMap(namespace, configMapRef.name ?? '');
      if (map === undefined && configMapRef.optional !== true) {
        throw new ConfigError(`configmap "${configMapRef.name}" not found`);
      }
      for (const [key, value] of Object.entries(map?.data ?? {})) env[prefix + key] = value;
    }
    if (secretRef !== undefined) {
      const secret = lookup.secret(namespace, secretRef.name ?? '');
      if (secret === undefined && secretRef.optional !== true) {
        throw new ConfigError(`secret "${secretRef.name}" not found`);
      }
      for (const [key, value] of Object.entries(secret?.data ?? {})) env[prefix + key] = decode(value);
    }
  }
  const services_ = { ...env };
  for (const variable of container.env ?? []) {
    const value = variableValue(pod, container, variable, { ...services_, ...env }, lookup, facts);
    if (value !== undefined) env[variable.name] = value;
  }
  return env;
}

function variableValue(
  pod: Pod,
  container: Container,
  variable: EnvVar,
  known: Readonly<Record<string, string>>,
  lookup: Lookup,
  facts: PodFacts,
): string | undefined {
  const from = variable.valueFrom;
  if (from === undefined || from === null) return expand(variable.value ?? '', known);
  const namespace = namespaceOf(pod);
  if (from.fieldRef !== undefined) return fieldValue(pod, from.fieldRef.fieldPath, facts);
  if (from.resourceFieldRef !== undefined) {
    return resourceValue(pod, container.name, from.resourceFieldRef, facts);
  }
  if (from.configMapKeyRef !== undefined) {
    const { name = '', key, optional } = from.configMapKeyRef;
    const map = lookup.configMap(namespace, name);
    const value = map?.data?.[key];
    if (value === undefined && optional !== true) {
      throw new ConfigError(
        map === undefined
          ? `configmap "${name}" not found`
          : `couldn't find key ${key} in ConfigMap ${namespace}/${name}`,
      );
    }
    return value;
  }
  if (from.secretKeyRef !== undefined) {
    const { name = '', key, optional } = from.secretKeyRef;
    const secret = lookup.secret(namespace, name);
    const value = secret?.data?.[key];
    if (value === undefined && optional !== true) {
      throw new ConfigError(
        secret === undefined ? `secret "${name}" not found` : `couldn't find key ${key} in Secret ${namespace}/${name}`,
      );
    }
    return value === undefined ? undefined : decode(value);
  }
  return undefined;
}

/** Replaces `$(NAME)` by known variables; `$$` stands for `$`, and an unknown reference stays as it is (Kubernetes, EnvVar.value). */
export function expand(text: string, known: Readonly<Record<string, string>>): string {
  let result = '';
  for (let index = 0; index < text.length; index++) {
    const char = text[index];
    if (char !== '$') {
      result += char;
      continue;
    }
    const next = text[index + 1];
    if (next === '$') {
      result += '$';
      index += 1;
    } else if (next === '(') {
      const end = text.indexOf(')', index);
      if (end < 0) {
        result += text.slice(index);
        break;
      }
      const name = text.slice(index + 2, end);
      result += Object.hasOwn(known, name) ? known[name] : text.slice(index, end + 1);
      index = end;
    } else result += char;
  }
  return result;
}

/** The value of a downward API field. Throws `ConfigError` for a path that does not exist. */
export function fieldValue(pod: Pod, path: string, facts: PodFacts): string {
  const keyed = /^metadata\.(labels|annotations)\['([^']+)'\]$/.exec(path);
  if (keyed !== null) {
    const map = keyed[1] === 'labels' ? pod.metadata.labels : pod.metadata.annotations;
    return map?.[keyed[2] ?? ''] ?? '';
  }
  switch (path) {
    case 'metadata.name':
      return nameOf(pod);
    case 'metadata.namespace':
      return namespaceOf(pod);
    case 'metadata.uid':
      return uidOf(pod);
    case 'metadata.labels':
      return pairs(pod.metadata.labels);
    case 'metadata.annotations':
      return pairs(pod.metadata.annotations);
    case 'spec.nodeName':
      return facts.nodeName;
    case 'spec.serviceAccountName':
      return pod.spec.serviceAccountName ?? 'default';
    case 'status.hostIP':
    case 'status.hostIPs':
      return facts.hostIP;
    case 'status.podIP':
    case 'status.podIPs':
      return facts.podIP;
    default:
      throw new ConfigError(`unsupported fieldPath: ${path}`);
  }
}

function pairs(map: Readonly<Record<string, string>> | undefined): string {
  return Object.entries(map ?? {})
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${key}=${JSON.stringify(value)}`)
    .join('\n');
}

export function resourceValue(
  pod: Pod,
  ownContainer: string,
  ref: { readonly containerName?: string; readonly resource: string; readonly divisor?: string },
  facts: PodFacts,
): string {
  const name = ref.containerName ?? ownContainer;
  const container = [...(pod.spec.initContainers ?? []), ...pod.spec.containers].find((item) => item.name === name);
  if (container === undefined) throw new ConfigError(`container "${name}" of resourceFieldRef not found`);
  const [kind = '', ...rest] = ref.resource.split('.');
  const resource = rest.join('.');
  const own = kind === 'limits' ? container.resources?.limits : container.resources?.requests;
  const quantity = own?.[resource] ?? (kind === 'limits' ? facts.allocatable[resource] : undefined) ?? '0';
  return String(divideQuantity(String(quantity), ref.divisor === undefined || ref.divisor === '0' ? '1' : ref.divisor));
}

/** Variables that announce services (Kubernetes, "Environment variables" of Services). */
function serviceVariables(pod: Pod, services: readonly Service[]): Record<string, string> {
  const env: Record<string, string> = {};
  const own = namespaceOf(pod);
  for (const service of services) {
    const { clusterIP, ports } = service.spec;
    const api = namespaceOf(service) === 'default' && nameOf(service) === 'kubernetes';
    if (clusterIP === undefined || clusterIP === 'None' || clusterIP === '') continue;
    if (!api && (namespaceOf(service) !== own || pod.spec.enableServiceLinks === false)) continue;
    const prefix = nameOf(service).toUpperCase().replaceAll('-', '_');
    const first = ports?.[0];
    if (first === undefined) continue;
    env[`${prefix}_SERVICE_HOST`] = clusterIP;
    env[`${prefix}_SERVICE_PORT`] = String(first.port);
    for (const port of ports ?? []) {
      const protocol = (port.protocol ?? 'TCP').toLowerCase();
      if (port.name) {
        env[`${prefix}_SERVICE_PORT_${port.name.toUpperCase().replaceAll('-', '_')}`] = String(port.port);
      }
      const base = `${prefix}_PORT_${port.port}_${protocol.toUpperCase()}`;
      const url = `${protocol}://${clusterIP}:${port.port}`;
      env[`${prefix}_PORT`] ??= url;
      env[base] = url;
      env[`${base}_PROTO`] = protocol;
      env[`${base}_PORT`] = String(port.port);
      env[`${base}_ADDR`] = clusterIP;
    }
  }
  return env;
}

function decode(base64: string): string {
  return Buffer.from(base64, 'base64').toString('utf8');
}
