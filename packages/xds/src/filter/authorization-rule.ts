import type { Permission, Policy, Principal } from '@istio-ts/envoy';
import type { ProxyScope } from '@istio-ts/mesh/model';
import * as on from './authorization-match.ts';

export type AuthorizationPolicy = ProxyScope['authorizationPolicies'][number];
type Rule = NonNullable<AuthorizationPolicy['spec']['rules']>[number];
type Source = NonNullable<NonNullable<NonNullable<Rule['from']>[number]>['source']>;
type Operation = NonNullable<NonNullable<NonNullable<Rule['to']>[number]>['operation']>;
type Condition = NonNullable<Rule['when']>[number];

/** How a rule is read. */
export interface Reading {
  readonly layer: 'http' | 'tcp';
  /**
   * Whether requests that match are let through. A part without a meaning then makes the whole rule match nothing; in a rule that refuses (or asks, or
   * marks) the part is left out, so that it concerns more (task "Authorization for TCP traffic": both err on the safe side).
   */
  readonly grants: boolean;
  /** Whether tokens have been checked before; who is asked by CUSTOM policies is decided before that. */
  readonly knowsTokens: boolean;
  /** The mesh's own trust domain and its aliases. */
  readonly trustDomains: readonly string[];
  readonly policyNamespace: string;
}

type List = readonly string[] | undefined;
type Make<T> = (value: string) => T | undefined;

/** Longer values have no meaning: no name or path is so long, and Envoy refuses expressions made of them. */
const MAX_VALUE_LENGTH = 4096;

/** Collects what a rule asks for, and whether anything of it has no meaning for what is at hand. */
class Limits {
  readonly ids: Principal[] = [];
  readonly rules: Permission[] = [];
  complete = true;

  #values<T>(values: readonly string[], make: Make<T>): readonly T[] {
    const made = values.flatMap((value) => (value.length > MAX_VALUE_LENGTH ? [] : (make(value) ?? [])));
    if (made.length < values.length) this.complete = false;
    return made;
  }

  /** One property of who asks: any of `values` and none of `notValues`. */
  who(values: List, notValues: List, make: Make<Principal>): void {
    const any = this.#values(values ?? [], make);
    const none = this.#values(notValues ?? [], make);
    if (any.length > 0) this.ids.push(on.orIds(any));
    if (none.length > 0) this.ids.push({ notId: on.orIds(none) });
  }

  /** The same of what is asked. */
  what(values: List, notValues: List, make: Make<Permission>, makeNot = make): void {
    const any = this.#values(values ?? [], make);
    const none = this.#values(notValues ?? [], makeNot);
    if (any.length > 0) this.rules.push(on.orRules(any));
    if (none.length > 0) this.rules.push({ notRule: on.orRules(none) });
  }

  /** A property that is not known here. */
  unknown(...lists: readonly List[]): void {
    if (lists.some((list) => list !== undefined && list.length > 0)) this.complete = false;
  }
}

function source(from: Source, reading: Reading): Limits {
  const limits = new Limits();
  const { trustDomains, policyNamespace } = reading;
  limits.who(from.principals, from.notPrincipals, (v) => on.principal(v, trustDomains));
  limits.who(from.namespaces, from.notNamespaces, on.namespace);
  limits.who(from.serviceAccounts, from.notServiceAccounts, (v) => on.serviceAccount(v, policyNamespace));
  limits.who(from.trustDomains, from.notTrustDomains, on.trustDomain);
  limits.who(from.ipBlocks, from.notIpBlocks, on.sourceIp);
  limits.who(from.remoteIpBlocks, from.notRemoteIpBlocks, on.remoteIp);
  if (reading.layer === 'http' && reading.knowsTokens)
    limits.who(from.requestPrincipals, from.notRequestPrincipals, on.requestPrincipal);
  else limits.unknown(from.requestPrincipals, from.notRequestPrincipals);
  return limits;
}

function operation(to: Operation, { layer, grants }: Reading): Limits {
  const limits = new Limits();
  limits.what(to.ports, to.notPorts, on.destinationPort);
  if (layer === 'tcp') {
    limits.unknown(to.hosts, to.notHosts, to.methods, to.notMethods, to.paths, to.notPaths);
    return limits;
  }
  // Where a match refuses, another way to write the same host must not get around it; where it grants, the host is taken at its word.
  limits.what(
    to.hosts,
    to.notHosts,
    grants ? on.host : on.hostHoweverWritten,
    grants ? on.hostHoweverWritten : on.host,
  );
  limits.what(to.methods, to.notMethods, on.method);
  limits.what(to.paths, to.notPaths, on.path);
  return limits;
}

const KEY = /^([A-Za-z0-9._-]+)((?:\[[^\]]*\])*)$/;
/** Names that Envoy takes; another one would make it refuse the whole listener. */
const HEADER_NAME = /^[^\p{Cc}\s]+$/u;
const METADATA_OF_FILTERS = 'experimental.envoy.filters.';

function condition({ key = '', values, notValues }: Condition, reading: Reading): Limits {
  const limits = new Limits();
  const [, name = '', rest = ''] = KEY.exec(key) ?? [];
  const keys = [...rest.matchAll(/\[([^\]]*)\]/g)].map((m) => m[1] ?? '');
  const who = (make: Make<Principal>): void => limits.who(values, notValues, make);
  const what = (make: Make<Permission>): void => limits.what(values, notValues, make);
  const [first] = keys;
  if (name.startsWith(METADATA_OF_FILTERS) && first !== undefined) {
    what((v) => on.filterMetadata(name.slice('experimental.'.length), keys, v));
    return limits;
  }
  switch (name) {
    case 'source.ip':
      who(on.sourceIp);
      return limits;
    case 'remote.ip':
      who(on.remoteIp);
      return limits;
    case 'source.namespace':
      who(on.namespace);
      return limits;
    case 'source.principal':
      who((v) => on.principal(v, reading.trustDomains));
      return limits;
    case 'source.serviceAccount':
      who((v) => on.serviceAccount(v, reading.policyNamespace));
      return limits;
    case 'source.trustDomain':
      who(on.trustDomain);
      return limits;
    case 'destination.ip':
      what(on.destinationIp);
      return limits;
    case 'destination.port':
      what(on.destinationPort);
      return limits;
    case 'connection.sni':
      what(on.serverName);
      return limits;
    default:
      break;
  }
  if (reading.layer === 'http') {
    if (name === 'request.headers' && first !== undefined && HEADER_NAME.test(first)) {
      who((v) => on.requestHeader(first, v));
      return limits;
    }
    const token = reading.knowsTokens ? tokenProperty(name, keys) : undefined;
    if (token !== undefined) {
      who(token);
      return limits;
    }
  }
  limits.complete = false;
  return limits;
}

function tokenProperty(name: string, keys: readonly string[]): Make<Principal> | undefined {
  switch (name) {
    case 'request.auth.principal':
      return on.requestPrincipal;
    case 'request.auth.audiences':
      return (v) => on.claimPrincipal(['aud'], v);
    case 'request.auth.presenter':
      return (v) => on.claimPrincipal(['azp'], v);
    case 'request.auth.claims':
      return keys.length === 0 ? undefined : (v) => on.claimPrincipal(keys, v);
    default:
      return undefined;
  }
}

/** Envoy's policy for one rule; undefined when it can match nothing. */
export function translateRule(rule: Rule, reading: Reading): Policy | undefined {
  const conditions = (rule.when ?? []).map((one) => condition(one, reading));
  const who = conditions.flatMap(({ ids }) => ids);
  const what = conditions.flatMap(({ rules }) => rules);
  const sources = (rule.from ?? []).map((from) => source(from.source ?? {}, reading));
  const operations = (rule.to ?? []).map((to) => operation(to.operation ?? {}, reading));
  if (reading.grants && [...conditions, ...sources, ...operations].some(({ complete }) => !complete)) return undefined;
  return {
    principals: (sources.length > 0 ? sources.map(({ ids }) => ids) : [[]]).map((ids) => on.andIds([...ids, ...who])),
    permissions: (operations.length > 0 ? operations.map(({ rules }) => rules) : [[]]).map((rules) =>
      on.andRules([...rules, ...what]),
    ),
  };
}
