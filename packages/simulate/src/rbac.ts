import { headerMatches } from './header-match.ts';
import { at, either, type Json, list, number, object, text } from '@istio-ts/envoy-dump/json';
import { every, type Maybe, not, some } from './maybe.ts';
import type { SeenRequest } from './request.ts';
import { templateExpression } from './route-match.ts';
import { regexMatches, stringMatches } from './string-match.ts';
import { claimMatches } from './value-match.ts';

/** What a set of RBAC rules says, and the names of the rules that decided (or may). */
export interface RbacResult {
  readonly verdict: 'allowed' | 'denied' | 'unknown';
  readonly action: 'ALLOW' | 'DENY' | 'LOG';
  readonly rules: readonly string[];
}

/** The request, and the port by which it came to the proxy. */
export interface RbacInput {
  readonly request: SeenRequest;
  readonly port: number;
}

function permission(rule: Json, input: RbacInput): Maybe {
  const { request, port } = input;
  const [kind, value] = Object.entries(rule)[0] ?? ['', undefined];
  switch (kind) {
    case 'any':
      return true;
    case 'andRules':
      return every(list(object(value).rules).map((inner) => permission(inner, input)));
    case 'orRules':
      return some(list(object(value).rules).map((inner) => permission(inner, input)));
    case 'notRule':
      return not(permission(object(value), input));
    case 'header':
      return headerMatches(object(value), request);
    case 'urlPath':
      return stringMatches(object(at(value, 'path')), request.path);
    case 'destinationPort':
      return number(value) === port;
    case 'destinationPortRange':
      return port >= (number(at(value, 'start')) ?? 0) && port < (number(at(value, 'end')) ?? 0);
    case 'requestedServerName':
      return request.scheme === 'https' ? stringMatches(object(value), request.host) : false;
    case 'metadata':
      return claimMatches(object(value), request.claims);
    case 'uriTemplate': {
      const template = text(either(object(at(value, 'typedConfig')), 'pathTemplate'));
      return regexMatches(templateExpression(template), request.path);
    }
    default:
      return undefined;
  }
}

function principal(id: Json, input: RbacInput): Maybe {
  const { request } = input;
  const [kind, value] = Object.entries(id)[0] ?? ['', undefined];
  switch (kind) {
    case 'any':
      return true;
    case 'andIds':
      return every(list(object(value).ids).map((inner) => principal(inner, input)));
    case 'orIds':
      return some(list(object(value).ids).map((inner) => principal(inner, input)));
    case 'notId':
      return not(principal(object(value), input));
    case 'authenticated': {
      if (request.caller === undefined) return false;
      const name = at(value, 'principalName');
      return name === undefined ? true : stringMatches(object(name), request.caller);
    }
    case 'header':
      return headerMatches(object(value), request);
    case 'urlPath':
      return stringMatches(object(at(value, 'path')), request.path);
    case 'metadata':
      return claimMatches(object(value), request.claims);
    default:
      // Addresses of callers, and states that other filters set.
      return undefined;
  }
}

/** Evaluates RBAC rules (config.rbac.v3.RBAC): whether they admit a request. */
export function evaluateRbac(rules: Json, input: RbacInput): RbacResult {
  const named = text(rules.action);
  const action = named === 'DENY' || named === 'LOG' ? named : 'ALLOW';
  const results = Object.entries(object(rules.policies)).map(([name, policy]) => ({
    name,
    matches: every([
      some(list(object(policy).permissions).map((rule) => permission(rule, input))),
      some(list(object(policy).principals).map((id) => principal(id, input))),
    ]),
  }));
  const names = (wanted: Maybe): readonly string[] =>
    results.filter(({ matches }) => matches === wanted).map(({ name }) => name);
  const matched = names(true);
  const open = names(undefined);
  if (action === 'LOG') return { verdict: 'allowed', action, rules: matched };
  if (matched.length > 0) return { verdict: action === 'ALLOW' ? 'allowed' : 'denied', action, rules: matched };
  if (open.length > 0) return { verdict: 'unknown', action, rules: open };
  return { verdict: action === 'ALLOW' ? 'denied' : 'allowed', action, rules: [] };
}
