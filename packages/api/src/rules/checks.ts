import { isIP, isIPv4 } from 'node:net';
import { tryParseDuration } from '../duration.ts';
import { itemPath, type ProblemList, quote } from '../problems.ts';

/**
 * Checks that several kinds share. Each reports what is wrong at a path; none throws.
 * Rules: istio.io, reference of each field.
 */

const dnsLabel = /^[a-zA-Z0-9]([-a-zA-Z0-9]{0,61}[a-zA-Z0-9])?$/;
const namespaceName = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;
// The first label may be a wildcard, or end with one's remainder: *, *-foo, *foo.
const wildcardLabel = /^\*(-?[a-zA-Z0-9]([-a-zA-Z0-9]{0,60}[a-zA-Z0-9])?)?$/;

export function isDnsLabel(text: string): boolean {
  return dnsLabel.test(text);
}

export function isNamespace(text: string): boolean {
  return namespaceName.test(text);
}

/** A host name of labels and dots; underscores are let pass in front, as SRV names have them. */
export function isHostName(text: string): boolean {
  if (text === '' || text.length > 255) return false;
  const labels = (text.endsWith('.') ? text.slice(0, -1) : text).split('.');
  return labels.every((label) => dnsLabel.test(label.replace(/^_/, '')));
}

/** A host name whose first label may be a wildcard; `*` alone too. */
export function isWildcardHost(text: string): boolean {
  if (text === '*') return true;
  const dot = text.indexOf('.');
  const first = dot < 0 ? text : text.slice(0, dot);
  if (!first.startsWith('*')) return isHostName(text);
  return wildcardLabel.test(first) && dot >= 0 && isHostName(text.slice(dot + 1));
}

export function checkHost(host: string, path: string, problems: ProblemList): void {
  if (host === '') problems.error(path, 'must not be empty');
  else if (!isWildcardHost(host) && isIP(host) === 0) {
    problems.error(path, `${quote(host)} is not a host name; use letters, digits, "-" and ".", and * only in front`);
  }
}

export function checkFqdn(host: string, path: string, problems: ProblemList): void {
  if (host === '') return; // "is required" says the schema
  if (host === '*' || host.includes('*')) problems.error(path, `${quote(host)} must not have a wildcard`);
  else if (!isHostName(host) && isIP(host) === 0) problems.error(path, `${quote(host)} is not a host name`);
}

/** `namespace/host` of Gateways and Sidecars. */
export function checkNamespacedHost(text: string, path: string, problems: ProblemList, sidecar: boolean): void {
  const parts = text.split('/');
  const [namespace, host] = parts.length === 1 ? [undefined, text] : [parts[0] ?? '', parts[1] ?? ''];
  if (parts.length > 2 || (sidecar && namespace === undefined)) {
    problems.error(path, `${quote(text)} must have the form namespace/host, for example ./* or istio-system/*`);
    return;
  }
  if (namespace !== undefined && namespace !== '*' && namespace !== '.' && !isNamespace(namespace)) {
    if (!(sidecar && namespace === '~')) {
      problems.error(path, `${quote(namespace)} is not a namespace; use a name, "." or "*"${sidecar ? ' or "~"' : ''}`);
    } else if (host !== '*')
      problems.error(path, `after "~/" (no services) only "*" may stand, not ${quote(host ?? '')}`);
  }
  checkHost(host ?? '', path, problems);
}

export function checkExportTo(exportTo: readonly string[] | undefined, path: string, problems: ProblemList): void {
  const seen = new Set<string>();
  exportTo?.forEach((entry, index) => {
    const at = itemPath(path, index);
    if (entry !== '*' && entry !== '.' && entry !== '~' && !isNamespace(entry)) {
      problems.error(
        at,
        `${quote(entry)} is not a namespace; use a name, "." for the own one, "*" for all or "~" for none`,
      );
    }
    if (seen.has(entry)) problems.error(at, `${quote(entry)} is there twice`);
    seen.add(entry);
  });
  if (seen.size > 1 && (seen.has('*') || seen.has('~'))) {
    problems.error(path, `${seen.has('*') ? '"*" (all)' : '"~" (none)'} cannot stand together with others`);
  }
}

export function checkPort(port: number | undefined, path: string, problems: ProblemList): void {
  if (port !== undefined && (port < 1 || port > 65535))
    problems.error(path, `must be between 1 and 65535, not ${port}`);
}

/** A duration that has to be at least a millisecond. */
export function checkPositive(duration: string | undefined, path: string, problems: ProblemList): void {
  if (duration === undefined) return;
  const value = tryParseDuration(duration);
  if (value !== undefined && value < 1) problems.error(path, `must be at least 1ms, not ${duration}`);
}

/** A duration that may be zero. */
export function checkNotNegative(duration: string | undefined, path: string, problems: ProblemList): void {
  if (duration === undefined) return;
  const value = tryParseDuration(duration);
  if (value !== undefined && value < 0) problems.error(path, `must not be negative (${duration})`);
}

/** An address or CIDR. */
export function isSubnet(text: string): boolean {
  const slash = text.indexOf('/');
  if (slash < 0) return isIP(text) !== 0;
  const address = text.slice(0, slash);
  const bits = text.slice(slash + 1);
  if (isIP(address) === 0 || !/^[0-9]{1,3}$/.test(bits)) return false;
  return Number(bits) <= (isIPv4(address) ? 32 : 128);
}

export function checkSubnets(subnets: readonly string[] | undefined, path: string, problems: ProblemList): void {
  subnets?.forEach((subnet, index) => {
    if (!isSubnet(subnet)) {
      problems.error(itemPath(path, index), `${quote(subnet)} is not an IP address or range such as 10.0.0.0/8`);
    }
  });
}

const protocols = new Set([
  'grpc',
  'grpc-web',
  'http',
  'http2',
  'https',
  'mongo',
  'tcp',
  'tls',
  'redis',
  'mysql',
  'udp',
  'hbone',
]);

export function checkProtocol(protocol: string, path: string, problems: ProblemList): void {
  if (!protocols.has(protocol.toLowerCase())) {
    problems.error(
      path,
      `${quote(protocol)} is not a protocol; use HTTP, HTTPS, HTTP2, GRPC, GRPC-Web, MONGO, TCP or TLS`,
    );
  }
}

const headerName = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

export function isHeaderName(name: string): boolean {
  return headerName.test(name);
}

const labelKey = /^([a-zA-Z0-9]([-a-zA-Z0-9.]*[a-zA-Z0-9])?\/)?[a-zA-Z0-9]([-a-zA-Z0-9_.]{0,61}[a-zA-Z0-9])?$/;
const labelValue = /^([a-zA-Z0-9]([-a-zA-Z0-9_.]{0,61}[a-zA-Z0-9])?)?$/;

export function checkLabels(
  labels: Readonly<Record<string, string>> | undefined,
  path: string,
  problems: ProblemList,
): void {
  for (const [key, value] of Object.entries(labels ?? {})) {
    if (!labelKey.test(key)) problems.error(path, `${quote(key)} is not a label name`);
    else if (value.includes('*')) problems.error(path, `label ${key}: wildcards are not supported (${quote(value)})`);
    else if (!labelValue.test(value)) problems.error(path, `label ${key}: ${quote(value)} is not a label value`);
  }
}

/** What several policies have: a selector, or target references, but not both. */
export function checkAttachment(
  spec: {
    readonly selector?: { readonly matchLabels?: Readonly<Record<string, string>> };
    readonly targetRef?: {
      readonly group?: string;
      readonly kind: string;
      readonly name: string;
      readonly namespace?: string;
    };
    readonly targetRefs?: readonly {
      readonly group?: string;
      readonly kind: string;
      readonly name: string;
      readonly namespace?: string;
    }[];
  },
  namespace: string,
  problems: ProblemList,
): void {
  checkLabels(spec.selector?.matchLabels, 'spec.selector.matchLabels', problems);
  const set = [
    ...(spec.selector ? ['selector'] : []),
    ...(spec.targetRef ? ['targetRef'] : []),
    ...(spec.targetRefs?.length ? ['targetRefs'] : []),
  ];
  if (set.length > 1) problems.error('spec', `only one of ${set.join(', ')} may be set`);
  const check = (ref: NonNullable<typeof spec.targetRef>, path: string): void => {
    if (ref.kind === '' || ref.name === '') return; // said by the schema
    const target = `${ref.group ?? ''}/${ref.kind}`;
    if (!targets.has(target)) {
      problems.error(
        path,
        `cannot be attached to ${quote(target)}; use a Gateway, GatewayClass, Service or ServiceEntry`,
      );
    }
    if (targets.has(target) && ref.kind !== 'Gateway')
      problems.warning(
        path,
        `a ${ref.kind} is reached through waypoint proxies, which are not built yet: it has no effect`,
      );
    if (ref.namespace && namespace && ref.namespace !== namespace) {
      problems.error(
        `${path}.namespace`,
        `must be the policy's own namespace ${namespace}, not ${quote(ref.namespace)}`,
      );
    }
  };
  if (spec.targetRef) check(spec.targetRef, 'spec.targetRef');
  spec.targetRefs?.forEach((ref, index) => {
    check(ref, itemPath('spec.targetRefs', index));
  });
}

const targets = new Set([
  'gateway.networking.k8s.io/Gateway',
  'gateway.networking.k8s.io/GatewayClass',
  '/Service',
  'core/Service',
  'networking.istio.io/ServiceEntry',
]);

/** Reports each value that came before. */
export function checkUnique(
  values: readonly (string | number | undefined)[],
  pathOf: (index: number) => string,
  problems: ProblemList,
): void {
  const seen = new Set<string | number>();
  values.forEach((value, index) => {
    if (value === undefined || value === '') return;
    if (seen.has(value)) problems.error(pathOf(index), `${quote(value)} is there twice; it must be unique`);
    seen.add(value);
  });
}
