import type { ConfigListenerFilter, HttpFilter, Policy, RBAC, RBAC_Action } from '@istio-ts/envoy';
import { typed } from '../typed.ts';
import { type AuthorizationPolicy, type Reading, translateRule } from './authorization-rule.ts';
import { type Authorizer, type Authorizers, httpQuestion, networkQuestion } from './external-authorization.ts';
import type { HttpFilterName } from './order.ts';

/** What AuthorizationPolicies are translated with. */
export interface AuthorizationContext {
  /** The mesh's own trust domain and its aliases. */
  readonly trustDomains: readonly string[];
  /** Whom CUSTOM policies can ask; what covers a policy without one is refused. */
  readonly authorizers: Authorizers;
}

/** `true` as Istio reads it (annotation `istio.io/dry-run`). */
const TRUE: ReadonlySet<string> = new Set(['1', 't', 'T', 'true', 'TRUE', 'True']);

/** Policies that are only reported on. The annotation is for ALLOW and DENY (task "Dry run", limitations); on others it changes nothing. */
const isDryRun = ({ annotations, spec }: AuthorizationPolicy): boolean =>
  TRUE.has(annotations['istio.io/dry-run'] ?? '') && (spec.action ?? 'ALLOW') !== 'CUSTOM' && spec.action !== 'AUDIT';

interface RulesInput {
  readonly policies: readonly AuthorizationPolicy[];
  readonly action: RBAC_Action;
  readonly reading: Omit<Reading, 'policyNamespace'>;
  /** Put before the names of the policies in Envoy. */
  readonly prefix?: string;
}

function rbac({ policies, action, reading, prefix = '' }: RulesInput): RBAC {
  const result: Record<string, Policy> = {};
  for (const policy of policies) {
    const { namespace, name } = policy.origin;
    (policy.spec.rules ?? []).forEach((rule, index) => {
      const translated = translateRule(rule, { ...reading, policyNamespace: namespace });
      if (translated !== undefined) result[`${prefix}ns[${namespace}]-policy[${name}]-rule[${index}]`] = translated;
    });
  }
  return { action, policies: result };
}

/** One filter: rules that decide or are only reported on, or a question to an authoriser about what rules before it have marked. */
type Check =
  | {
      readonly kind: 'rules';
      readonly name: HttpFilterName;
      readonly rules?: RBAC;
      readonly shadowRules?: RBAC;
      readonly shadowRulesStatPrefix?: string;
    }
  | { readonly kind: 'question'; readonly asked: Authorizer; readonly key: string };

/** The name of a provider as a part of names of statistics; different for different providers. */
const statName = (provider: string): string =>
  provider.replace(/[^A-Za-z0-9-]/g, (c) => `_${c.charCodeAt(0).toString(16)}_`);

/** Policies by provider, in the order in which the oldest policies name them. */
function byProvider(policies: readonly AuthorizationPolicy[]): ReadonlyMap<string, readonly AuthorizationPolicy[]> {
  return Map.groupBy(policies, ({ spec }) => spec.provider?.name ?? '');
}

/**
 * CUSTOM policies: for each provider rules that mark what it is to be asked about, then all questions. Whom to ask is decided on the request as the client
 * sent it, so an authoriser that changes headers does not choose who else is asked. Without anybody to ask, what the policies cover is refused.
 */
function customChecks(
  policies: readonly AuthorizationPolicy[],
  layer: Reading['layer'],
  { trustDomains, authorizers }: AuthorizationContext,
): readonly Check[] {
  const reading = { layer, trustDomains, grants: false, knowsTokens: false };
  const name: HttpFilterName = 'istio.rbac.custom';
  const marks: Check[] = [];
  const questions: Check[] = [];
  const groups = byProvider(policies);
  for (const [provider, group] of groups) {
    const asked = authorizers.get(provider);
    const rules = (prefix: string): RBAC => rbac({ policies: group, action: 'DENY', reading, prefix });
    if (asked === undefined) marks.push({ kind: 'rules', name, rules: rules('') });
    else if (layer === 'http' || asked.kind === 'grpc') {
      const shadowRulesStatPrefix = `istio_ext_authz_${groups.size > 1 ? `${statName(provider)}_` : ''}`;
      marks.push({
        kind: 'rules',
        name,
        shadowRules: rules(`istio-ext-authz-${provider}-`),
        shadowRulesStatPrefix,
      });
      questions.push({ kind: 'question', asked, key: `${shadowRulesStatPrefix}shadow_effective_policy_id` });
    }
  }
  return [...marks, ...questions];
}

/** ALLOW or DENY policies: those in force and those in a dry run in one filter. */
function plainCheck(
  policies: readonly AuthorizationPolicy[],
  action: 'ALLOW' | 'DENY',
  layer: Reading['layer'],
  { trustDomains }: AuthorizationContext,
): readonly Check[] {
  if (policies.length === 0) return [];
  const reading = { layer, trustDomains, grants: action === 'ALLOW', knowsTokens: true };
  const enforced = policies.filter((policy) => !isDryRun(policy));
  const tried = policies.filter(isDryRun);
  return [
    {
      kind: 'rules',
      name: action === 'ALLOW' ? 'istio.rbac.allow' : 'istio.rbac.deny',
      ...(enforced.length > 0 ? { rules: rbac({ policies: enforced, action, reading }) } : {}),
      ...(tried.length > 0
        ? {
            shadowRules: rbac({ policies: tried, action, reading }),
            shadowRulesStatPrefix: action === 'ALLOW' ? 'istio_dry_run_allow_' : 'istio_dry_run_deny_',
          }
        : {}),
    },
  ];
}

/**
 * The checks that a set of policies asks for, in the order in which they are made: CUSTOM, then DENY, then ALLOW (reference of Authorization Policy). AUDIT
 * marks requests for the access log (metadata `access_log_hint` of `envoy.common`) before anything can refuse them.
 */
function checks(
  policies: readonly AuthorizationPolicy[],
  layer: Reading['layer'],
  context: AuthorizationContext,
): readonly Check[] {
  const of = (action: string) => policies.filter((p) => (p.spec.action ?? 'ALLOW') === action);
  const audit = of('AUDIT');
  const { trustDomains } = context;
  const reading = { layer, trustDomains, grants: false, knowsTokens: true };
  return [
    ...customChecks(of('CUSTOM'), layer, context),
    ...(audit.length > 0
      ? [
          {
            kind: 'rules',
            name: 'istio.rbac.audit',
            rules: rbac({ policies: audit, action: 'LOG', reading }),
          } as const,
        ]
      : []),
    ...plainCheck(of('DENY'), 'DENY', layer, context),
    ...plainCheck(of('ALLOW'), 'ALLOW', layer, context),
  ];
}

/** HTTP filters that enforce AuthorizationPolicies; with ALLOW policies, what none of them admits is refused with 403. */
export const httpAuthorizationFilters = (
  policies: readonly AuthorizationPolicy[],
  context: AuthorizationContext,
): readonly HttpFilter[] =>
  checks(policies, 'http', context).map((check) => {
    if (check.kind === 'question') return httpQuestion(check.asked, check.key);
    const { kind: _rules, name, ...config } = check;
    return { name, typedConfig: typed('envoy.extensions.filters.http.rbac.v3.RBAC', config) };
  });

/** The same for TCP connections: a connection that is not admitted is closed. */
export const networkAuthorizationFilters = (
  policies: readonly AuthorizationPolicy[],
  context: AuthorizationContext,
): readonly ConfigListenerFilter[] =>
  checks(policies, 'tcp', context).flatMap((check): readonly ConfigListenerFilter[] => {
    if (check.kind === 'question') {
      const filter = networkQuestion(check.asked, check.key);
      return filter === undefined ? [] : [filter];
    }
    const { kind: _rules, name, ...config } = check;
    return [
      {
        name,
        typedConfig: typed('envoy.extensions.filters.network.rbac.v3.RBAC', { ...config, statPrefix: 'tcp.' }),
      },
    ];
  });

/**
 * The same for gRPC servers without a proxy, as far as gRPC libraries read it (gRFC A41): they ask nobody, so what CUSTOM policies cover is refused, and they
 * know neither dry runs nor AUDIT.
 */
export const grpcAuthorizationFilters = (
  policies: readonly AuthorizationPolicy[],
  trustDomains: readonly string[],
): readonly HttpFilter[] =>
  httpAuthorizationFilters(
    policies.filter((policy) => !isDryRun(policy) && policy.spec.action !== 'AUDIT'),
    { trustDomains, authorizers: new Map() },
  );
