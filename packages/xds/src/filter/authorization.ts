import type { ConfigListenerFilter, HttpFilter, Permission, Policy, Principal, RBAC } from '@istio-ts/envoy';
import type { ProxyScope } from '@istio-ts/mesh/model';
import { typed } from '../typed.ts';
import * as on from './authorization-match.ts';
import type { HttpFilterName } from './order.ts';

type AuthorizationPolicy = ProxyScope['authorizationPolicies'][number];
type Rule = NonNullable<AuthorizationPolicy['spec']['rules']>[number];
type Source = NonNullable<NonNullable<NonNullable<Rule['from']>[number]>['source']>;
type Operation = NonNullable<NonNullable<NonNullable<Rule['to']>[number]>['operation']>;
type Condition = NonNullable<Rule['when']>[number];

interface Translation {
  readonly layer: 'http' | 'tcp';
  readonly trustDomains: readonly string[];
  readonly policyNamespace: string;
}

/** Translated fields. Not `complete` when some have no meaning for the connection at hand: an HTTP property of bytes, or a key that nobody knows. */
interface Translated<T> {
  readonly parts: readonly T[];
  readonly complete: boolean;
}

type List = readonly string[] | undefined;

/** One field and its negation: any of `values` and none of `notValues`. */
function principals(values: List, notValues: List, make: (value: string) => Principal): readonly Principal[] {
  return [
    ...(values !== undefined && values.length > 0 ? [on.orIds(values.map(make))] : []),
    ...(notValues !== undefined && notValues.length > 0 ? [{ notId: on.orIds(notValues.map(make)) }] : []),
  ];
}

function permissions(values: List, notValues: List, make: (value: string) => Permission): readonly Permission[] {
  return [
    ...(values !== undefined && values.length > 0 ? [on.orRules(values.map(make))] : []),
    ...(notValues !== undefined && notValues.length > 0 ? [{ notRule: on.orRules(notValues.map(make)) }] : []),
  ];
}

const given = (...lists: readonly List[]): boolean => lists.some((l) => l !== undefined && l.length > 0);

function sourceIds(source: Source, t: Translation): Translated<Principal> {
  const ids = [
    ...principals(source.principals, source.notPrincipals, (v) => on.principal(v, t.trustDomains)),
    ...principals(source.namespaces, source.notNamespaces, on.namespace),
    ...principals(source.serviceAccounts, source.notServiceAccounts, (v) => on.serviceAccount(v, t.policyNamespace)),
    ...principals(source.trustDomains, source.notTrustDomains, on.trustDomain),
    ...principals(source.ipBlocks, source.notIpBlocks, on.sourceIp),
    ...principals(source.remoteIpBlocks, source.notRemoteIpBlocks, on.remoteIp),
  ];
  if (!given(source.requestPrincipals, source.notRequestPrincipals)) {
    return { parts: ids, complete: true };
  }
  return t.layer === 'tcp'
    ? { parts: ids, complete: false }
    : {
        parts: [...ids, ...principals(source.requestPrincipals, source.notRequestPrincipals, on.requestPrincipal)],
        complete: true,
      };
}

function operationRules(operation: Operation, t: Translation): Translated<Permission> {
  const ports = permissions(operation.ports, operation.notPorts, on.destinationPort);
  const isHttp = given(
    operation.hosts,
    operation.notHosts,
    operation.methods,
    operation.notMethods,
    operation.paths,
    operation.notPaths,
  );
  if (t.layer === 'tcp') {
    return { parts: ports, complete: !isHttp };
  }
  return {
    parts: [
      ...ports,
      ...permissions(operation.hosts, operation.notHosts, on.host),
      ...permissions(operation.methods, operation.notMethods, on.method),
      ...permissions(operation.paths, operation.notPaths, on.path),
    ],
    complete: true,
  };
}

const BRACKETS = /^([a-z.]+)((?:\[[^\]]*\])*)$/;

/** A condition limits who asks or what is asked. */
interface Limits {
  readonly ids: readonly Principal[];
  readonly rules: readonly Permission[];
}

/** Limits of a condition; undefined when its key has no meaning here. */
function conditionLimits(condition: Condition, t: Translation): Limits | undefined {
  const [, name = '', rest = ''] = BRACKETS.exec(condition.key ?? '') ?? [];
  const keys = [...rest.matchAll(/\[([^\]]*)\]/g)].map((m) => m[1] ?? '');
  const ids = (make: (v: string) => Principal) => ({
    ids: principals(condition.values, condition.notValues, make),
    rules: [],
  });
  const rules = (make: (v: string) => Permission) => ({
    ids: [],
    rules: permissions(condition.values, condition.notValues, make),
  });
  switch (name) {
    case 'source.ip':
      return ids(on.sourceIp);
    case 'remote.ip':
      return ids(on.remoteIp);
    case 'source.namespace':
      return ids(on.namespace);
    case 'source.principal':
      return ids((v) => on.principal(v, t.trustDomains));
    case 'source.serviceAccount':
      return ids((v) => on.serviceAccount(v, t.policyNamespace));
    case 'destination.ip':
      return rules(on.destinationIp);
    case 'destination.port':
      return rules(on.destinationPort);
    case 'connection.sni':
      return rules(on.serverName);
    default:
      break;
  }
  if (t.layer === 'tcp') {
    return undefined;
  }
  const [key] = keys;
  switch (name) {
    case 'request.headers':
      return key === undefined ? undefined : ids((v) => on.requestHeader(key, v));
    case 'request.auth.principal':
      return ids(on.requestPrincipal);
    case 'request.auth.audiences':
      return ids((v) => on.claimPrincipal(['aud'], v));
    case 'request.auth.presenter':
      return ids((v) => on.claimPrincipal(['azp'], v));
    case 'request.auth.claims':
      return keys.length === 0 ? undefined : ids((v) => on.claimPrincipal(keys, v));
    default:
      return undefined;
  }
}

/**
 * Translates one rule. For a rule that grants, a meaningless part makes the whole rule match nothing; for one that refuses, the part is left out so
 * that it refuses more (Authorization for TCP traffic task: both err on the safe side).
 */
function translate(rule: Rule, grants: boolean, t: Translation): Policy | undefined {
  let complete = true;
  const keep = <T>(translated: Translated<T> | undefined): readonly T[] => {
    complete &&= translated?.complete ?? true;
    return translated?.parts ?? [];
  };
  const who: Principal[] = [];
  const what: Permission[] = [];
  for (const condition of rule.when ?? []) {
    const limits = conditionLimits(condition, t);
    complete &&= limits !== undefined;
    who.push(...(limits?.ids ?? []));
    what.push(...(limits?.rules ?? []));
  }
  const sources = (rule.from ?? []).map((f) => keep(f.source === undefined ? undefined : sourceIds(f.source, t)));
  const operations = (rule.to ?? []).map((to) =>
    keep(to.operation === undefined ? undefined : operationRules(to.operation, t)),
  );
  if (!complete && grants) {
    return undefined;
  }
  return {
    principals: (sources.length > 0 ? sources : [[]]).map((ids) => on.andIds([...ids, ...who])),
    permissions: (operations.length > 0 ? operations : [[]]).map((rules) => on.andRules([...rules, ...what])),
  };
}

const isDryRun = (policy: AuthorizationPolicy): boolean => policy.annotations['istio.io/dry-run'] === 'true';

function rbac(
  policies: readonly AuthorizationPolicy[],
  action: 'ALLOW' | 'DENY',
  layer: Translation['layer'],
  trustDomains: readonly string[],
): RBAC {
  const result: Record<string, Policy> = {};
  for (const policy of policies) {
    const { namespace, name } = policy.origin;
    (policy.spec.rules ?? []).forEach((rule, index) => {
      const translated = translate(rule, action === 'ALLOW', { layer, trustDomains, policyNamespace: namespace });
      if (translated !== undefined) {
        result[`ns[${namespace}]-policy[${name}]-rule[${index}]`] = translated;
      }
    });
  }
  return { action, policies: result };
}

type Step = {
  readonly name: HttpFilterName;
  readonly action: 'ALLOW' | 'DENY';
  readonly policies: readonly AuthorizationPolicy[];
};

/**
 * The checks that a set of policies asks for. CUSTOM policies name an external service; until one is asked, what they cover is refused rather than let
 * through unchecked.
 */
function steps(policies: readonly AuthorizationPolicy[]): readonly Step[] {
  const enforced = policies.filter((p) => !isDryRun(p));
  const of = (action: string) => enforced.filter((p) => (p.spec.action ?? 'ALLOW') === action);
  const all: readonly Step[] = [
    { name: 'istio.rbac.custom', action: 'DENY', policies: of('CUSTOM') },
    { name: 'istio.rbac.deny', action: 'DENY', policies: of('DENY') },
    { name: 'istio.rbac.allow', action: 'ALLOW', policies: of('ALLOW') },
  ];
  return all.filter((s) => s.policies.length > 0);
}

/** HTTP filters that enforce AuthorizationPolicies; with ALLOW policies, what none of them admits is refused with 403. */
export const httpRbacFilters = (
  policies: readonly AuthorizationPolicy[],
  trustDomains: readonly string[],
): readonly HttpFilter[] =>
  steps(policies).map(({ name, action, policies: chosen }) => ({
    name,
    typedConfig: typed('envoy.extensions.filters.http.rbac.v3.RBAC', {
      rules: rbac(chosen, action, 'http', trustDomains),
    }),
  }));

/** The same for TCP connections: a connection that is not admitted is closed. */
export const networkRbacFilters = (
  policies: readonly AuthorizationPolicy[],
  trustDomains: readonly string[],
): readonly ConfigListenerFilter[] =>
  steps(policies).map(({ name, action, policies: chosen }) => ({
    name,
    typedConfig: typed('envoy.extensions.filters.network.rbac.v3.RBAC', {
      rules: rbac(chosen, action, 'tcp', trustDomains),
      statPrefix: 'tcp.',
    }),
  }));
