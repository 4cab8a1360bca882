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
  if (value.endsWith('*')) {
    return { prefix: before + value.slice(0, -1) };
  }
  return value.startsWith('*') ? { suffix: value.slice(1) } : { exact: before + value };
}

/** A value as part of an expression for one segment of a SPIFFE identity. */
function segment(value: string): string {
  if (value === '*') {
    return '[^/]+';
  }
  if (value.endsWith('*')) {
    return `${escapeRe2(value.slice(0, -1))}[^/]*`;
  }
  return value.startsWith('*') ? `[^/]*${escapeRe2(value.slice(1))}` : escapeRe2(value);
}

const identity = (principalName: StringMatcher): Principal => ({ authenticated: { principalName } });
const identityRegex = (regex: string): Principal => identity({ safeRegex: { regex } });

export const anyPrincipal: Principal = { any: true };
export const anyPermission: Permission = { any: true };
/** Matches no request. */
export const noPrincipal: Principal = { notId: { any: true } };
export const noPermission: Permission = { notRule: { any: true } };

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

/** `principals`: identities without `spiffe://`. An own trust domain stands for all of its aliases. */
export function principal(value: string, trustDomains: readonly string[]): Principal {
  const slash = value.indexOf('/');
  const domain = slash === -1 ? value : value.slice(0, slash);
  const names = trustDomains.includes(domain) ? trustDomains.map((d) => d + value.slice(domain.length)) : [value];
  return orIds(names.map((name) => identity(valueMatcher(name, 'spiffe://'))));
}

export const namespace = (value: string): Principal => identityRegex(`spiffe://[^/]+/ns/${segment(value)}/.*`);

/** `serviceAccounts`: `namespace/name`, or a name in the policy's own namespace. */
export function serviceAccount(value: string, policyNamespace: string): Principal {
  const [first = '', second] = value.split('/');
  const [ns, name] = second === undefined ? [policyNamespace, first] : [first, second];
  return identityRegex(`spiffe://[^/]+/ns/${segment(ns)}/sa/${segment(name)}`);
}

export const trustDomain = (value: string): Principal => identityRegex(`spiffe://${segment(value)}/.*`);

/** `ipBlocks`: the address of the connection's other end. Something that is no address matches nothing. */
export function sourceIp(value: string): Principal {
  const range = cidr(value);
  return range === undefined ? noPrincipal : { directRemoteIp: range };
}

/** `remoteIpBlocks`: the client's address as trusted proxies report it. */
export function remoteIp(value: string): Principal {
  const range = cidr(value);
  return range === undefined ? noPrincipal : { remoteIp: range };
}

export function destinationIp(value: string): Permission {
  const range = cidr(value);
  return range === undefined ? noPermission : { destinationIp: range };
}

export function destinationPort(value: string): Permission {
  const port = Number(value);
  return Number.isInteger(port) && port > 0 && port < 65_536 ? { destinationPort: port } : noPermission;
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

/** `hosts`: the port in a Host header does not count, nor does case. */
export function host(value: string): Permission {
  const plain = { ...valueMatcher(value), ...(value === '*' ? {} : { ignoreCase: true }) };
  if (value === '*' || value.endsWith('*')) {
    return { header: headerOf(':authority', plain) };
  }
  const body = value.startsWith('*') ? `.*${escapeRe2(value.slice(1))}` : escapeRe2(value);
  return { header: headerOf(':authority', { safeRegex: { regex: `(?i)${body}(:[0-9]+)?` } }) };
}

/** `paths`: also templates with `{*}` for one segment and `{**}` for the rest. */
export function path(value: string): Permission {
  if (value.includes('{*}') || value.includes('{**}')) {
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

export const requestHeader = (name: string, value: string): Principal => ({
  header: headerOf(name.toLowerCase(), valueMatcher(value)),
});
