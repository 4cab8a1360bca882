import { destinationRuleOf, newDestinationRule, withSubsets } from './destination-rule.ts';
import {
  type Fields,
  fieldsOf,
  listOf,
  type MeshObject,
  textOf,
  type WizardResult,
  type WizardService,
} from './object.ts';
import { scopeNotes } from './traffic-shifting.ts';
import {
  isDefault,
  newVirtualService,
  plainRoute,
  virtualServiceOf,
  weightedRoute,
  weightsOf,
} from './virtual-service.ts';
import type { Weight } from './weights.ts';

export type MatchOn = 'header' | 'uri' | 'method' | 'authority' | 'queryParam';
export type MatchHow = 'exact' | 'prefix' | 'regex' | 'present';

/** One condition; those of one rule must all hold. */
export interface Condition {
  readonly on: MatchOn;
  /** Name of the header or the query parameter. */
  readonly name: string;
  readonly how: MatchHow;
  readonly value: string;
}

/** A rule of the wizard: one that the object has already and stays as it is, or a new one. */
export type RoutingRule =
  | { readonly origin: number; readonly summary: string; readonly isDefault: boolean }
  | { readonly conditions: readonly Condition[]; readonly weights: readonly Weight[] };

function conditionText(match: Fields): string {
  const parts = Object.entries(match).flatMap(([field, value]): readonly string[] => {
    const fields = fieldsOf(value);
    const text = (each: Fields) =>
      Object.entries(each)
        .map(([how, wanted]) => `${how} ${String(wanted)}`)
        .join(' ') || 'present';
    if (field === 'headers' || field === 'queryParams' || field === 'withoutHeaders')
      return Object.entries(fields).map(
        ([name, each]) => `${field === 'withoutHeaders' ? 'not ' : ''}${name} ${text(fieldsOf(each))}`,
      );
    if (['uri', 'method', 'authority', 'scheme'].includes(field)) return [`${field} ${text(fields)}`];
    return field === 'name' ? [] : [field];
  });
  return parts.join(' and ');
}

/** The routes that the service's VirtualService has now, in their order, in words. */
export function currentRules(service: WizardService, objects: readonly MeshObject[]): readonly RoutingRule[] {
  const virtual = virtualServiceOf(service, objects);
  const rule = destinationRuleOf(service, objects);
  if (!virtual) return [];
  return listOf(virtual.spec.http).map((route, origin) => {
    const when = listOf(route.match).map(conditionText).join(' or ');
    const weights = weightsOf(route, rule, service, virtual.metadata.namespace);
    const to = weights
      ? weights.map(({ version, weight }) => (weights.length === 1 ? version : `${version} ${weight}%`)).join(', ')
      : route.redirect
        ? 'redirect'
        : route.directResponse
          ? 'direct response'
          : listOf(route.route)
              .map((each) => textOf(fieldsOf(each.destination).host) ?? '')
              .join(', ');
    return { origin, summary: `${when === '' ? 'everything else' : when} → ${to}`, isDefault: isDefault(route) };
  });
}

/** One element of `match` for the conditions of a rule. */
export function matchOf(conditions: readonly Condition[]): Fields {
  const headers: Record<string, Fields> = {};
  const queryParams: Record<string, Fields> = {};
  const match: Record<string, Fields> = {};
  for (const { on, name, how, value } of conditions) {
    const text: Fields = how === 'present' ? {} : { [how]: value };
    if (on === 'header') headers[name.toLowerCase()] = text;
    else if (on === 'queryParam') queryParams[name] = text;
    else match[on] = text;
  }
  return {
    ...match,
    ...(Object.keys(headers).length > 0 ? { headers } : {}),
    ...(Object.keys(queryParams).length > 0 ? { queryParams } : {}),
  };
}

/** Why a condition cannot be written; undefined when it can. */
export function conditionProblem({ on, name, how, value }: Condition): string | undefined {
  if ((on === 'header' || on === 'queryParam') && name.trim() === '') return 'A name is missing.';
  if (how !== 'present' && value === '') return 'A value is missing.';
  if (how === 'present' && on !== 'header') return 'Only a header can be asked for being present.';
  return undefined;
}

/** Writes the rules as the routes of the service's VirtualService; a default route is added where none is left, for else requests would find no route. */
export function routeRequests(
  service: WizardService,
  objects: readonly MeshObject[],
  rules: readonly RoutingRule[],
): WizardResult {
  const virtual = virtualServiceOf(service, objects) ?? newVirtualService(service);
  const before = destinationRuleOf(service, objects);
  const wanted = rules.flatMap((rule) => ('weights' in rule ? rule.weights.map(({ version }) => version) : []));
  const rule = wanted.length === 0 ? before : withSubsets(before ?? newDestinationRule(service), wanted);
  const old = listOf(virtual.spec.http);
  const routes = rules.flatMap((each): readonly Fields[] => {
    if ('origin' in each) {
      const route = old[each.origin];
      return route ? [route] : [];
    }
    const weights = each.weights.filter(({ weight }) => weight > 0);
    const route = weightedRoute(weights, rule, service, {}, virtual.metadata.namespace);
    const single = route.map(({ weight: _, ...part }) => part);
    return [
      {
        ...(each.conditions.length > 0 ? { match: [matchOf(each.conditions)] } : {}),
        route: weights.length === 1 ? single : route,
      },
    ];
  });
  const http = routes.some(isDefault) ? routes : [...routes, plainRoute(service)];
  const changed = { ...virtual, spec: { ...virtual.spec, http } };
  const first = http.findIndex(isDefault);
  const notes = [
    ...scopeNotes(changed),
    ...(first >= 0 && first < http.length - 1
      ? [`Routes after number ${first + 1} are never used: that one takes everything. Move it to the end.`]
      : []),
  ];
  return { objects: rule && rule !== before ? [rule, changed] : [changed], notes };
}
