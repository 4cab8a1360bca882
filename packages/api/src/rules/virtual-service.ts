import { isIP } from 'node:net';
import type { RuleContext } from '../kind.ts';
import type {
  HTTPRoute,
  RouteDestination,
  TCPRoute,
  TLSRoute,
  VirtualServiceSpec,
} from '../networking/virtual-service.ts';
import { fieldPath, itemPath, type ProblemList, quote } from '../problems.ts';
import {
  checkExportTo,
  checkHost,
  checkLabels,
  checkPort,
  checkPositive,
  checkSubnets,
  checkUnique,
  isHeaderName,
  isNamespace,
  isWildcardHost,
} from './checks.ts';
import {
  checkCors,
  checkDestination,
  checkFault,
  checkHeaders,
  checkMirrors,
  checkRetries,
  checkStringMatch,
} from './http-route-settings.ts';

/** Rules of VirtualService (istio.io, reference of Virtual Service). */
export function checkVirtualService(spec: VirtualServiceSpec, problems: ProblemList, context: RuleContext): void {
  const hosts = spec.hosts ?? [];
  const delegate = hosts.length === 0;
  const gateways = spec.gateways ?? [];
  const onMesh = gateways.length === 0 || gateways.includes('mesh');
  hosts.forEach((host, index) => {
    const path = itemPath('spec.hosts', index);
    checkHost(host, path, problems);
    if (host === '*' && onMesh) {
      problems.error(
        path,
        '"*" is not allowed for sidecars (gateway mesh); name the hosts, or name gateways other than mesh',
      );
    }
  });
  checkUnique(hosts, (index) => itemPath('spec.hosts', index), problems);
  checkGateways(spec.gateways, 'spec.gateways', problems);
  checkExportTo(spec.exportTo, 'spec.exportTo', problems);
  const http = spec.http ?? [];
  const tls = spec.tls ?? [];
  const tcp = spec.tcp ?? [];
  if (delegate) {
    // Without hosts the object is a delegate: it has HTTP rules only and takes gateways from its root.
    if (gateways.length > 0) problems.error('spec.gateways', 'a delegate (no hosts) must not have gateways');
    if (tls.length + tcp.length > 0) problems.error('spec', 'a delegate (no hosts) can have http only');
    if (http.length === 0) problems.error('spec.hosts', 'is required');
  } else if (http.length + tls.length + tcp.length === 0) {
    problems.error('spec', 'needs at least one of http, tls, tcp');
  }
  http.forEach((route, index) => {
    checkHttpRoute(route, itemPath('spec.http', index), delegate, problems, context);
  });
  tls.forEach((route, index) => {
    checkTlsRoute(route, hosts, itemPath('spec.tls', index), problems);
  });
  tcp.forEach((route, index) => {
    checkTcpRoute(route, itemPath('spec.tcp', index), problems);
  });
  checkReachable(http, 'spec.http', problems);
  checkReachable(tcp, 'spec.tcp', problems);
}

/** A rule without conditions takes everything: later ones are never used. */
function checkReachable(
  routes: readonly { readonly match?: readonly object[] }[],
  path: string,
  problems: ProblemList,
): void {
  const open = routes.findIndex((route) => !route.match?.length);
  if (open >= 0 && open < routes.length - 1) {
    problems.warning(
      itemPath(path, open),
      'has no match and takes everything, so the rules after it are never used; move it to the end',
      'unreachable',
    );
  }
}

function checkGateways(gateways: readonly string[] | undefined, path: string, problems: ProblemList): void {
  gateways?.forEach((gateway, index) => {
    if (gateway === 'mesh') return;
    const parts = gateway.split('/');
    const name = parts.at(-1) ?? '';
    const ok =
      parts.length <= 2 &&
      isWildcardHost(name) &&
      !name.includes('*') &&
      (parts.length === 1 || isNamespace(parts[0] ?? ''));
    if (!ok)
      problems.error(itemPath(path, index), `${quote(gateway)} is not a gateway; write name, namespace/name or mesh`);
  });
}

function checkHttpRoute(
  route: HTTPRoute,
  path: string,
  inDelegate: boolean,
  problems: ProblemList,
  context: RuleContext,
): void {
  const actions = [
    ...(route.route?.length ? ['route'] : []),
    ...(route.redirect ? ['redirect'] : []),
    ...(route.directResponse ? ['directResponse'] : []),
    ...(route.delegate ? ['delegate'] : []),
  ];
  if (actions.length === 0) problems.error(path, 'needs one of route, redirect, directResponse, delegate');
  if (actions.length > 1) problems.error(path, `only one of ${actions.join(', ')} may be set`);
  if (route.delegate) {
    if (inDelegate) problems.error(`${path}.delegate`, 'a delegate must not delegate again');
    if (!route.delegate.name) problems.error(`${path}.delegate.name`, 'is required');
    if (route.delegate.name === context.name && (route.delegate.namespace || context.namespace) === context.namespace) {
      problems.error(`${path}.delegate`, 'must not name this object itself');
    }
  }
  if (route.redirect && route.rewrite) problems.error(path, 'rewrite cannot stand together with redirect');
  if (route.directResponse && route.rewrite) problems.error(path, 'rewrite cannot stand together with directResponse');
  route.match?.forEach((match, index) => {
    checkHttpMatch(match, itemPath(`${path}.match`, index), problems);
  });
  if (route.route) {
    checkWeights(route.route, `${path}.route`, problems);
    route.route.forEach((destination, index) => {
      const at = itemPath(`${path}.route`, index);
      checkDestination(destination.destination, `${at}.destination`, problems);
      checkHeaders(destination.headers, `${at}.headers`, problems);
    });
  }
  checkRedirect(route, path, problems);
  if (route.directResponse) {
    const { status, body } = route.directResponse;
    if (status < 200 || status > 599) {
      problems.error(`${path}.directResponse.status`, `must be between 200 and 599, not ${status}`);
    }
    const size = Math.max(body?.string?.length ?? 0, ((body?.bytes?.length ?? 0) * 3) / 4);
    if (size > 1 << 20) problems.error(`${path}.directResponse.body`, 'must not be larger than 1 MB');
    else if (size > 100_000)
      problems.warning(`${path}.directResponse.body`, 'is larger than 100 kB; every proxy keeps it in memory');
  }
  const { rewrite } = route;
  if (rewrite) {
    if (rewrite.uri !== undefined && rewrite.uriRegexRewrite) {
      problems.error(`${path}.rewrite`, 'only one of uri, uriRegexRewrite may be set');
    }
    if (!rewrite.uri && !rewrite.authority && !rewrite.uriRegexRewrite) {
      problems.error(`${path}.rewrite`, 'needs uri, uriRegexRewrite or authority');
    }
    if (rewrite.uriRegexRewrite && !rewrite.uriRegexRewrite.match) {
      problems.error(`${path}.rewrite.uriRegexRewrite.match`, 'is required');
    }
  }
  checkPositive(route.timeout, `${path}.timeout`, problems);
  if (route.retries) checkRetries(route.retries, `${path}.retries`, problems);
  if (route.fault) checkFault(route.fault, `${path}.fault`, problems);
  checkMirrors(route, path, problems);
  if (route.corsPolicy) checkCors(route.corsPolicy, `${path}.corsPolicy`, problems);
  checkHeaders(route.headers, `${path}.headers`, problems);
}

function checkRedirect(route: HTTPRoute, path: string, problems: ProblemList): void {
  const { redirect } = route;
  if (!redirect) return;
  const { uri, authority, port, derivePort, scheme, redirectCode, prefixRewrite } = redirect;
  if (!uri && !authority && !scheme && !prefixRewrite && port === undefined && derivePort === undefined) {
    problems.error(`${path}.redirect`, 'needs at least one of uri, prefixRewrite, authority, port, derivePort, scheme');
  }
  if (uri && prefixRewrite) problems.error(`${path}.redirect`, 'only one of uri, prefixRewrite may be set');
  if (redirectCode && ![301, 302, 303, 307, 308].includes(redirectCode)) {
    problems.error(`${path}.redirect.redirectCode`, `must be one of 301, 302, 303, 307, 308, not ${redirectCode}`);
  }
  if (scheme && scheme !== 'http' && scheme !== 'https') {
    problems.error(`${path}.redirect.scheme`, `must be http or https, not ${quote(scheme)}`);
  }
}

type Match = NonNullable<HTTPRoute['match']>[number];

function checkHttpMatch(match: Match, path: string, problems: ProblemList): void {
  for (const field of ['uri', 'scheme', 'method', 'authority'] as const) {
    const value = match[field];
    if (value) checkStringMatch(value, `${path}.${field}`, problems);
  }
  for (const field of ['headers', 'withoutHeaders'] as const) {
    for (const name of Object.keys(match[field] ?? {})) {
      if (!isHeaderName(name.replace(/^:/, '')) && !name.startsWith('@request.auth.claims')) {
        problems.error(fieldPath(`${path}.${field}`, name), `${quote(name)} is not a header name`);
      }
    }
  }
  for (const [name, value] of Object.entries(match.queryParams ?? {})) {
    const at = fieldPath(`${path}.queryParams`, name);
    if (name === '') problems.error(`${path}.queryParams`, 'the name of a query parameter must not be empty');
    if (value.prefix === '') problems.error(`${at}.prefix`, 'must not be empty');
  }
  checkLabels(match.sourceLabels, `${path}.sourceLabels`, problems);
  checkGateways(match.gateways, `${path}.gateways`, problems);
  if (match.sourceNamespace && !isNamespace(match.sourceNamespace)) {
    problems.error(`${path}.sourceNamespace`, `${quote(match.sourceNamespace)} is not a namespace`);
  }
  if (match.port !== undefined) checkPort(match.port, `${path}.port`, problems);
}

function checkWeights(routes: readonly { readonly weight?: number }[], path: string, problems: ProblemList): void {
  if (routes.length < 2) return;
  const total = routes.reduce((sum, route) => sum + (route.weight ?? 0), 0);
  if (total === 0) problems.error(path, 'the sum of the weights must not be 0; give each destination a weight');
  // Envoy adds the weights in 32 bits.
  if (total > 2 ** 32 - 1) problems.error(path, `the sum of the weights must not exceed ${2 ** 32 - 1}`);
}

function checkTlsRoute(route: TLSRoute, hosts: readonly string[], path: string, problems: ProblemList): void {
  if (route.match.length === 0) problems.error(`${path}.match`, 'needs at least one match with sniHosts');
  route.match.forEach((match, index) => {
    const at = itemPath(`${path}.match`, index);
    if (match.sniHosts.length === 0) problems.error(`${at}.sniHosts`, 'needs at least one host');
    match.sniHosts.forEach((sni, sniIndex) => {
      const sniPath = itemPath(`${at}.sniHosts`, sniIndex);
      if (isIP(sni) !== 0 || !isWildcardHost(sni)) problems.error(sniPath, `${quote(sni)} is not a host name`);
      else if (!hosts.some((host) => covers(host, sni))) {
        problems.error(sniPath, `${quote(sni)} is not within spec.hosts (${hosts.join(', ')}); add it there`);
      }
    });
    checkL4Match(match, at, problems);
  });
  checkRouteDestinations(route.route, path, problems);
}

function checkTcpRoute(route: TCPRoute, path: string, problems: ProblemList): void {
  route.match?.forEach((match, index) => {
    const at = itemPath(`${path}.match`, index);
    checkL4Match(match, at, problems);
    if (match.sourceSubnet) problems.warning(`${at}.sourceSubnet`, 'is not implemented and has no effect');
  });
  checkRouteDestinations(route.route, path, problems);
}

function checkL4Match(
  match: {
    readonly destinationSubnets?: readonly string[];
    readonly sourceLabels?: Readonly<Record<string, string>>;
    readonly gateways?: readonly string[];
    readonly port?: number;
  },
  path: string,
  problems: ProblemList,
): void {
  checkSubnets(match.destinationSubnets, `${path}.destinationSubnets`, problems);
  checkLabels(match.sourceLabels, `${path}.sourceLabels`, problems);
  checkGateways(match.gateways, `${path}.gateways`, problems);
  if (match.port !== undefined) checkPort(match.port, `${path}.port`, problems);
}

function checkRouteDestinations(
  routes: readonly RouteDestination[] | undefined,
  path: string,
  problems: ProblemList,
): void {
  if (!routes?.length) {
    problems.error(`${path}.route`, 'needs at least one destination');
    return;
  }
  checkWeights(routes, `${path}.route`, problems);
  routes.forEach((route, index) => {
    checkDestination(route.destination, `${itemPath(`${path}.route`, index)}.destination`, problems);
  });
}

/** Whether every name that `narrow` stands for is one of `wide`'s. */
function covers(wide: string, narrow: string): boolean {
  if (wide === narrow || wide === '*') return true;
  return wide.startsWith('*') && narrow.replace(/^\*/, '').endsWith(wide.slice(1));
}
