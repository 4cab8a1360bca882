import type { RuleContext } from '../kind.ts';
import { isPathTemplate, pathTemplateProblem } from '../path-template.ts';
import { fieldPath, itemPath, type ProblemList, quote } from '../problems.ts';
import type {
  AuthorizationOperation,
  AuthorizationPolicySpec,
  AuthorizationRule,
  AuthorizationSource,
  JWTRule,
  PeerAuthenticationSpec,
  RequestAuthenticationSpec,
} from '../security/policies.ts';
import {
  checkAttachment,
  checkLabels,
  checkPositive,
  checkSubnets,
  checkUnique,
  isHeaderName,
  isNamespace,
} from './checks.ts';

/** Rules of PeerAuthentication (istio.io, reference of PeerAuthentication). */
export function checkPeerAuthentication(spec: PeerAuthenticationSpec, problems: ProblemList): void {
  checkLabels(spec.selector?.matchLabels, 'spec.selector.matchLabels', problems);
  const ports = Object.keys(spec.portLevelMtls ?? {});
  if (ports.length > 0 && Object.keys(spec.selector?.matchLabels ?? {}).length === 0) {
    problems.error('spec.portLevelMtls', 'needs a selector with labels, because ports belong to workloads');
  }
  for (const port of ports) {
    const number = /^[0-9]{1,5}$/.test(port) ? Number(port) : 0;
    if (number < 1 || number > 65535)
      problems.error(fieldPath('spec.portLevelMtls', port), 'must be a port from 1 to 65535');
  }
}

/** Rules of AuthorizationPolicy (istio.io, reference of Authorization Policy and of its conditions). */
export function checkAuthorizationPolicy(
  spec: AuthorizationPolicySpec,
  problems: ProblemList,
  context: RuleContext,
): void {
  checkAttachment(spec, context.namespace, problems);
  const rules = spec.rules ?? [];
  if (spec.action === 'CUSTOM') {
    if (!spec.provider?.name) problems.error('spec.provider.name', 'is required for action CUSTOM');
    if (rules.length === 0) problems.error('spec.rules', 'is required for action CUSTOM');
  } else if (spec.provider) problems.error('spec.provider', `works only with action CUSTOM, not ${spec.action}`);
  if (spec.action === 'DENY' && rules.length === 0) {
    problems.error(
      'spec.rules',
      'is required for action DENY: without rules it denies nothing; use "rules: [{}]" to deny all',
    );
  }
  checkDryRun(spec, context.annotations['istio.io/dry-run'], problems);
  rules.forEach((rule, index) => {
    checkRule(rule, itemPath('spec.rules', index), problems);
    if (spec.action === 'CUSTOM') checkBeforeTokens(rule, itemPath('spec.rules', index), problems);
  });
}

/** The annotation is for ALLOW and DENY, with a value as Go reads booleans (istio.io, task "Dry Run", limitations). */
function checkDryRun(spec: AuthorizationPolicySpec, value: string | undefined, problems: ProblemList): void {
  if (value === undefined) return;
  const path = 'metadata.annotations[istio.io/dry-run]';
  if (!/^(1|t|T|true|TRUE|True|0|f|F|false|FALSE|False)$/.test(value))
    problems.warning(path, `${quote(value)} is neither true nor false: the policy is enforced`);
  else if (spec.action === 'CUSTOM' || spec.action === 'AUDIT')
    problems.warning(path, `has no effect with action ${spec.action}; only ALLOW and DENY policies can be tried`);
}

/** Tokens are checked after external authorisers were asked, so that these may bring them. */
function checkBeforeTokens(rule: AuthorizationRule, path: string, problems: ProblemList): void {
  const warn = (at: string): void =>
    problems.warning(
      at,
      'tokens are not checked yet when the provider is asked: this is ignored, and it is asked more often',
    );
  rule.from?.forEach(({ source }, index) => {
    for (const field of ['requestPrincipals', 'notRequestPrincipals'] as const)
      if (source?.[field]?.length) warn(`${itemPath(`${path}.from`, index)}.source.${field}`);
  });
  rule.when?.forEach(({ key }, index) => {
    if (key.startsWith('request.auth.')) warn(`${itemPath(`${path}.when`, index)}.key`);
  });
}

function checkRule(rule: AuthorizationRule, path: string, problems: ProblemList): void {
  if (rule.from?.length === 0) problems.error(`${path}.from`, 'must not be empty; remove it to match every source');
  rule.from?.forEach((from, index) => {
    const at = itemPath(`${path}.from`, index);
    if (!from.source || Object.keys(from.source).length === 0)
      problems.error(`${at}.source`, 'needs at least one condition');
    else checkSource(from.source, `${at}.source`, problems);
  });
  if (rule.to?.length === 0) problems.error(`${path}.to`, 'must not be empty; remove it to match every operation');
  rule.to?.forEach((to, index) => {
    const at = itemPath(`${path}.to`, index);
    if (!to.operation || Object.keys(to.operation).length === 0)
      problems.error(`${at}.operation`, 'needs at least one condition');
    else checkOperation(to.operation, `${at}.operation`, problems);
  });
  rule.when?.forEach((condition, index) => {
    const at = itemPath(`${path}.when`, index);
    if (!condition.values?.length && !condition.notValues?.length) problems.error(at, 'needs values or notValues');
    checkConditionKey(condition.key, `${at}.key`, problems);
    for (const field of ['values', 'notValues'] as const) {
      checkFilled(condition[field], `${at}.${field}`, problems);
      if (/^(source\.ip|remote\.ip|destination\.ip)$/.test(condition.key))
        checkSubnets(condition[field], `${at}.${field}`, problems);
      if (condition.key === 'destination.port') checkPorts(condition[field], `${at}.${field}`, problems);
    }
  });
}

function checkSource(source: AuthorizationSource, path: string, problems: ProblemList): void {
  for (const [field, values] of Object.entries(source)) checkFilled(values, `${path}.${field}`, problems);
  for (const field of ['ipBlocks', 'notIpBlocks', 'remoteIpBlocks', 'notRemoteIpBlocks'] as const) {
    checkSubnets(source[field], `${path}.${field}`, problems);
  }
  const accounts = source.serviceAccounts ?? source.notServiceAccounts;
  const identities = source.principals ?? source.notPrincipals ?? source.namespaces ?? source.notNamespaces;
  if (accounts && identities) {
    problems.error(path, 'serviceAccounts cannot stand together with principals or namespaces');
  }
  for (const field of ['serviceAccounts', 'notServiceAccounts'] as const) {
    source[field]?.forEach((account, index) => {
      const parts = account.split('/');
      if (parts.length > 2 || parts.some((part) => part === '' || part.includes('*'))) {
        problems.error(
          itemPath(`${path}.${field}`, index),
          `${quote(account)} must be NAME or NAMESPACE/NAME, without wildcards`,
        );
      }
    });
  }
  source.principals?.forEach((principal, index) => {
    if (principal.startsWith('spiffe://')) {
      problems.error(
        itemPath(`${path}.principals`, index),
        'must not start with spiffe://; write cluster.local/ns/NAMESPACE/sa/ACCOUNT',
      );
    }
  });
  source.namespaces?.forEach((namespace, index) => {
    if (namespace !== '' && !namespace.includes('*') && !isNamespace(namespace)) {
      problems.error(itemPath(`${path}.namespaces`, index), `${quote(namespace)} is not a namespace`);
    }
  });
}

function checkOperation(operation: AuthorizationOperation, path: string, problems: ProblemList): void {
  for (const [field, values] of Object.entries(operation)) checkFilled(values, `${path}.${field}`, problems);
  checkPorts(operation.ports, `${path}.ports`, problems);
  checkPorts(operation.notPorts, `${path}.notPorts`, problems);
  for (const field of ['paths', 'notPaths'] as const) {
    operation[field]?.forEach((value, index) => {
      const problem = isPathTemplate(value) ? pathTemplateProblem(value) : undefined;
      if (problem !== undefined) problems.error(itemPath(`${path}.${field}`, index), `${quote(value)}: ${problem}`);
    });
  }
}

function checkFilled(values: readonly string[] | undefined, path: string, problems: ProblemList): void {
  if (values?.length === 0) problems.error(path, 'must not be empty; remove it to match everything');
  values?.forEach((value, index) => {
    if (value === '') problems.error(itemPath(path, index), 'must not be empty');
  });
}

function checkPorts(ports: readonly string[] | undefined, path: string, problems: ProblemList): void {
  ports?.forEach((port, index) => {
    const number = /^[0-9]{1,5}$/.test(port) ? Number(port) : 0;
    if (number < 1 || number > 65535)
      problems.error(itemPath(path, index), `${quote(port)} is not a port from 1 to 65535`);
  });
}

const conditionKeys = new Set([
  'source.ip',
  'remote.ip',
  'source.namespace',
  'source.principal',
  'source.serviceAccount',
  'source.trustDomain',
  'request.auth.principal',
  'request.auth.audiences',
  'request.auth.presenter',
  'destination.ip',
  'destination.port',
  'connection.sni',
]);

function checkConditionKey(key: string, path: string, problems: ProblemList): void {
  if (key === '') return; // said by the schema
  if (conditionKeys.has(key)) return;
  if (/^request\.headers\[[^[\]\p{Cc}\s]+\]$/u.test(key) || /^request\.auth\.claims(\[[^[\]]+\])+$/.test(key)) return;
  if (/^experimental\.envoy\.filters\.[^[\]]+(\[[^[\]]+\])+$/.test(key)) return;
  problems.error(
    path,
    `${quote(key)} is not an attribute; use for example request.headers[x-user], source.ip or request.auth.claims[iss]`,
  );
}

/** Rules of RequestAuthentication (istio.io, reference of RequestAuthentication and of JWTRule). */
export function checkRequestAuthentication(
  spec: RequestAuthenticationSpec,
  problems: ProblemList,
  context: RuleContext,
): void {
  checkAttachment(spec, context.namespace, problems);
  spec.jwtRules?.forEach((rule, index) => {
    checkJwtRule(rule, itemPath('spec.jwtRules', index), problems);
  });
}

function checkJwtRule(rule: JWTRule, path: string, problems: ProblemList): void {
  if (rule.jwks && rule.jwksUri) problems.error(path, 'only one of jwks, jwksUri may be set');
  if (rule.jwksUri && !isHttpUrl(rule.jwksUri)) {
    problems.error(`${path}.jwksUri`, `${quote(rule.jwksUri)} must be an http:// or https:// URL`);
  }
  if (rule.jwks) {
    const problem = jwksProblem(rule.jwks);
    if (problem !== undefined) problems.error(`${path}.jwks`, problem);
  }
  rule.fromHeaders?.forEach((header, index) => {
    if (header.name !== '' && !isHeaderName(header.name)) {
      problems.error(`${itemPath(`${path}.fromHeaders`, index)}.name`, `${quote(header.name)} is not a header name`);
    }
  });
  if (rule.outputPayloadToHeader && !isHeaderName(rule.outputPayloadToHeader)) {
    problems.error(`${path}.outputPayloadToHeader`, `${quote(rule.outputPayloadToHeader)} is not a header name`);
  }
  checkUnique(
    (rule.outputClaimToHeaders ?? []).map((output) => output.header.toLowerCase()),
    (index) => `${itemPath(`${path}.outputClaimToHeaders`, index)}.header`,
    problems,
  );
  checkPositive(rule.timeout, `${path}.timeout`, problems);
}

function isHttpUrl(text: string): boolean {
  try {
    const url = new URL(text);
    return (url.protocol === 'http:' || url.protocol === 'https:') && url.hostname !== '';
  } catch {
    return false;
  }
}

function jwksProblem(text: string): string | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return 'is not JSON; it must be a key set: {"keys": [...]}';
  }
  const keys = typeof value === 'object' && value !== null ? (value as { keys?: unknown }).keys : undefined;
  return Array.isArray(keys) && keys.length > 0 ? undefined : 'must be a key set with keys: {"keys": [...]}';
}
