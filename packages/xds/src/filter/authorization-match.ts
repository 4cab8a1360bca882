import { isPathTemplate, pathTemplateProblem } from '@istio-ts/api';
import type { HeaderMatcher, MetadataMatcher, Permission, Principal, StringMatcher } from '@istio-ts/envoy';
import { cidr } from '../listener/chain-match.ts';
import { escapeRe2 } from '../route/string-match.ts';
import { typed } from '../typed.ts';

/** What `*` means: anything, but something. */
const ANYTHING: StringMatcher = { safeRegex: { regex: '.+' } };

/** A policy's value: exact, `prefix*`, `*suffix`, or `*` for presence (Authorization Policy reference). */
export function valueMatcher(value: string, before = ''): StringMatcher {
  if (value === '*') {
    return ANYTHING;
  }
  if (value.startsWith('*')) {
    return { suffix: value.slice(1) };
  }
  return value.endsWith('*') ? { prefix: before + value.slice(0, -1) } : { exact: before + value };
}

/** A value as part of an expression for one segment of a SPIFFE identity. */
function segment(value: string): string {
  if (value === '*') {
    return '[^/]+';
  }
  if (value.startsWith('*')) {
    return `[^/]*${escapeRe2(value.slice(1))}`;
  }
  return value.endsWith('*') ? `${escapeRe2(value.slice(0, -1))}[^/]*` : escapeRe2(value);
}

const identity = (principalName: StringMatcher): Principal => ({ authenticated: { principalName } });
const identityRegex = (regex: string): Principal => identity({ safeRegex: { regex } });

export const anyPrincipal: Principal = { any: true };
export const anyPermission: Permission = { any: true };

export const orIds = (ids: readonly Principal[]): Principal =>
  ids.length === 1 && ids[0] !== undefined ? ids[0] : { orIds: { ids } };
export const andIds = (ids: readonly Principal[]): Principal =>
  ids.length === 1 && ids[0] !== undefined ? ids[0] : ids.length === 0 ? anyPrincipal : { andIds: { ids } };
export const orRules = (rules: readonly Permission[]): Permission =>
  rules.length === 1 && rules[0] !== undefined ? rules[0] : { orRules: { rules } };
export const andRules = (rules: readonly Permission[]): Permission =>
  rules.length === 1 && rules[0] !== undefined
    ? rules[0]
    : rules.length === 0
      ? anyPermission
      : { andRules: { rules } };

/** Stands for the mesh's own trust domain, whatever its name (task "Trust Domain Migration"). */
const OWN = 'cluster.local';

/**
 * The names of an identity in the mesh's trust domain and its aliases. One whose trust domain starts with `*` also stands for all of them as soon as it
 * covers one; any other identity is taken as it is.
 */
function aliases(value: string, trustDomains: readonly string[]): readonly string[] {
  const slash = value.indexOf('/');
  const domain = slash === -1 ? '' : value.slice(0, slash);
  if (domain === '' || domain === '*') return [value];
  const covers = (one: string): boolean => (domain.startsWith('*') ? one.endsWith(domain.slice(1)) : one === domain);
  if (domain !== OWN && !trustDomains.some(covers)) return [value];
  const named = trustDomains.map((one) => (domain.startsWith('*') && covers(one) ? value : one + value.slice(slash)));
  return [...new Set(named)];
}

/** `principals`: identities without `spiffe://`. An own trust domain stands for all of its aliases. */
export const principal = (value: string, trustDomains: readonly string[]): Principal =>
  orIds(aliases(value, trustDomains).map((name) => identity(valueMatcher(name, 'spiffe://'))));

export const namespace = (value: string): Principal => identityRegex(`spiffe://[^/]+/ns/${segment(value)}/.*`);

/** `serviceAccounts`: `namespace/name`, or a name in the policy's own namespace. */
export function serviceAccount(value: string, policyNamespace: string): Principal {
  const [first = '', second] = value.split('/');
  const [ns, name] = second === undefined ? [policyNamespace, first] : [first, second];
  return identityRegex(`spiffe://[^/]+/ns/${segment(ns)}/sa/${segment(name)}`);
}

export const trustDomain = (value: string): Principal => identityRegex(`spiffe://${segment(value)}/.*`);

/** `ipBlocks`: the address of the connection's other end. Undefined for something that is no address. */
export function sourceIp(value: string): Principal | undefined {
  const range = cidr(value);
  return range && { directRemoteIp: range };
}

/** `remoteIpBlocks`: the client's address as trusted proxies report it. */
export function remoteIp(value: string): Principal | undefined {
  const range = cidr(value);
  return range && { remoteIp: range };
}

export function destinationIp(value: string): Permission | undefined {
  const range = cidr(value);
  return range && { destinationIp: range };
}

export function destinationPort(value: string): Permission | undefined {
  const port = /^[0-9]{1,5}$/.test(value) ? Number(value) : 0;
  return port > 0 && port < 65_536 ? { destinationPort: port } : undefined;
}

const JWT_FILTER = 'envoy.filters.http.jwt_authn';

/** A claim of the token that was checked. */
function claim(path: readonly string[], value: StringMatcher): MetadataMatcher {
  return {
    filter: JWT_FILTER,
    path: ['payload', ...path].map((key) => ({ key })),
    value: { orMatch: { valueMatchers: [{ stringMatch: value }, { listMatch: { oneOf: { stringMatch: value } } }] } },
  };
}

export const claimPrincipal = (path: readonly string[], value: string): Principal => ({
  metadata: claim(path, valueMatcher(value)),
});

/** `requestPrincipals`: `issuer/subject` of the token. */
export function requestPrincipal(value: string): Principal {
  if (value === '*') {
    return { metadata: claim(['sub'], ANYTHING) };
  }
  const slash = value.lastIndexOf('/');
  const [issuer, subject] =
    slash === -1 ? [value, value.startsWith('*') ? value : '*'] : [value.slice(0, slash), value.slice(slash + 1)];
  return andIds([
    claimPrincipal(['iss'], slash === -1 && value.startsWith('*') ? '*' : issuer),
    claimPrincipal(['sub'], subject),
  ]);
}

const headerOf = (name: string, matcher: StringMatcher): HeaderMatcher => ({ name, stringMatch: matcher });

export const method = (value: string): Permission => ({ header: headerOf(':method', valueMatcher(value)) });

/** `hosts`, without regard to case: what the Host header says, with its port where it has one (Security best practices). */
export const host = (value: string): Permission => ({
  header: headerOf(':authority', value === '*' ? ANYTHING : { ...valueMatcher(value), ignoreCase: true }),
});

/**
 * The same host also with a port, with the dot of a fully qualified name at its end, or among others where a client has sent several (Envoy puts commas
 * between them): an application may take each of them for it.
 */
export function hostHoweverWritten(value: string): Permission {
  if (value === '*' || (value.endsWith('*') && !value.startsWith('*'))) return host(value);
  const name = value.startsWith('*') ? `.*${escapeRe2(value.slice(1))}` : escapeRe2(value);
  return { header: headerOf(':authority', { safeRegex: { regex: `(?i)(.*,)?${name}\\.?(:[0-9]*)?(,.*)?` } }) };
}

/** `paths`: also templates with `{*}` for one segment and `{**}` for the rest; undefined for one that Envoy does not take. */
export function path(value: string): Permission | undefined {
  if (isPathTemplate(value)) {
    if (pathTemplateProblem(value) !== undefined) {
      return undefined;
    }
    return {
      uriTemplate: {
        name: 'uri_template',
        typedConfig: typed('envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig', {
          pathTemplate: value.replaceAll('{**}', '**').replaceAll('{*}', '*'),
        }),
      },
    };
  }
  return { urlPath: { path: valueMatcher(value) } };
}

export const serverName = (value: string): Permission => ({ requestedServerName: valueMatcher(value) });

/** `request.headers[..]`: Envoy looks at each value of a header that comes several times, and one that matches is enough. */
export const requestHeader = (name: string, value: string): Principal => ({
  header: headerOf(name.toLowerCase(), valueMatcher(value)),
});

/** `experimental.envoy.filters.*`: metadata that a filter of this name sets; a value in brackets is looked for in a list. */
export function filterMetadata(filter: string, path: readonly string[], value: string): Permission {
  const [, listed] = /^\[(.*)\]$/s.exec(value) ?? [];
  const wanted = { stringMatch: valueMatcher(listed ?? value) };
  return {
    metadata: {
      filter,
      path: path.map((key) => ({ key })),
      value: listed === undefined ? wanted : { listMatch: { oneOf: wanted } },
    },
  };
}
