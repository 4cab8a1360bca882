import { type ExplainStep, step } from './explanation.ts';
import { at, type Json, list, number, object, text, texts, typeOf } from '@istio-ts/envoy-dump/json';
import { type ObjectName, policyOf } from './origin.ts';
import { evaluateRbac, type RbacInput } from './rbac.ts';
import { fraction } from './route-match.ts';

/** What a filter does to a request; a status ends its way. */
export interface FilterOutcome {
  readonly step: ExplainStep;
  readonly status?: number;
}

/** Filters that only count, describe or prepare: nothing is decided there. */
const silent = new Set([
  'Router',
  'Cors',
  'Set',
  'PeerMetadata',
  'Config',
  'FilterConfig',
  'Alpn',
  'HeaderToMetadata',
  'Stateful',
  'GrpcWeb',
  'OnDemand',
  'ZoneAware',
]);

const percent = (share: number): string => `${Number((share * 100).toFixed(2))} %`;

function policiesOf(rules: readonly string[]): readonly ObjectName[] {
  const found = new Map<string, ObjectName>();
  for (const rule of rules) {
    const policy = policyOf(rule);
    if (policy)
      found.set(`${policy.namespace}/${policy.name}`, {
        kind: policy.kind,
        namespace: policy.namespace,
        name: policy.name,
      });
  }
  return [...found.values()];
}

const ruleText = (rules: readonly string[]): string =>
  rules
    .map((rule) => {
      const policy = policyOf(rule);
      return policy === undefined
        ? rule
        : `rule ${policy.rule} of AuthorizationPolicy ${policy.namespace}/${policy.name}`;
    })
    .join(' and ');

/** Authorization: enforced rules, then those that are only tried (dry run), or that mark what an external authoriser is asked about. */
function rbac(filter: Json, config: Json, input: RbacInput): readonly FilterOutcome[] {
  const name = text(filter.name);
  const outcomes: FilterOutcome[] = [];
  const isHttp = typeOf(config) === 'RBAC' && text(config['@type']).includes('.http.');
  if (config.shadowRules !== undefined && !text(config.shadowRulesStatPrefix).startsWith('istio_ext_authz_')) {
    const tried = evaluateRbac(object(config.shadowRules), input);
    outcomes.push({
      step: step(
        'filter',
        'passed',
        `Dry run: ${tried.rules.length > 0 ? ruleText(tried.rules) : 'no rule'} would have ${tried.verdict === 'denied' ? 'denied' : tried.verdict === 'allowed' ? 'let through' : 'perhaps decided about'} it; nothing is enforced.`,
        {
          resource: name,
          from: policiesOf(tried.rules),
        },
      ),
    });
  }
  if (config.rules === undefined) return outcomes;
  const result = evaluateRbac(object(config.rules), input);
  const all = Object.keys(object(at(config, 'rules', 'policies')));
  const others = all
    .filter((rule) => !result.rules.includes(rule))
    .map((rule) => ({ name: ruleText([rule]), why: 'it does not match' }));
  const more = { resource: name, from: policiesOf(result.rules.length > 0 ? result.rules : all), others };
  if (result.verdict === 'denied') {
    const sentence =
      result.rules.length > 0
        ? `${ruleText(result.rules)} denies it.`
        : all.length === 0
          ? 'Nothing is allowed here: a policy without rules selects this workload.'
          : 'There are policies that allow requests, and no rule of theirs matches this one.';
    outcomes.push({ step: step('filter', 'denied', sentence, more), status: isHttp ? 403 : 0 });
  } else if (result.verdict === 'unknown') {
    outcomes.push({
      step: step(
        'filter',
        'unknown',
        `Whether ${ruleText(result.rules)} ${result.action === 'DENY' ? 'denies' : 'allows'} it depends on what the configuration does not tell, such as the address of the caller.`,
        more,
      ),
    });
  } else if (result.rules.length > 0) {
    outcomes.push({
      step: step(
        'filter',
        'passed',
        result.action === 'LOG'
          ? `${ruleText(result.rules)} marks it for the audit log.`
          : `${ruleText(result.rules)} allows it.`,
        more,
      ),
    });
  } else {
    outcomes.push({ step: step('filter', 'passed', 'No policy denies it.', { ...more, from: [] }) });
  }
  return outcomes;
}

/** Tokens: who sends none passes (whether one is demanded is a matter of policies), who sends a wrong one does not. */
function jwt(filter: Json, config: Json, { request }: RbacInput): FilterOutcome {
  const issuers = Object.values(object(config.providers))
    .map((provider) => text(object(provider).issuer))
    .filter(Boolean);
  const resource = { resource: text(filter.name) };
  const known = issuers.length > 0 ? ` of ${issuers.join(', ')}` : '';
  if (request.claims !== undefined) {
    const issuer = request.claims.iss;
    return issuer === undefined || issuers.length === 0 || issuers.includes(String(issuer))
      ? { step: step('filter', 'passed', `The token is taken as checked${known}.`, resource) }
      : {
          step: step(
            'filter',
            'denied',
            `Tokens of ${String(issuer)} are not known here; those${known} are.`,
            resource,
          ),
          status: 401,
        };
  }
  return request.headers.has('authorization')
    ? {
        step: step(
          'filter',
          'unknown',
          `The token in the header is checked with the keys${known}; give its claims to go on with them.`,
          resource,
        ),
      }
    : { step: step('filter', 'passed', 'It has no token, so no identity of an end user.', resource) };
}

function fault(filter: Json, own: Json): readonly FilterOutcome[] {
  const resource = { resource: text(filter.name) };
  const outcomes: FilterOutcome[] = [];
  if (own.delay !== undefined) {
    const share = fraction(at(own, 'delay', 'percentage'));
    outcomes.push({
      step: step(
        'filter',
        share === 1 ? 'changed' : 'unknown',
        `A fault delays ${percent(share)} of requests by ${text(at(own, 'delay', 'fixedDelay'))}.`,
        resource,
      ),
    });
  }
  if (own.abort !== undefined) {
    const share = fraction(at(own, 'abort', 'percentage'));
    const status = number(at(own, 'abort', 'httpStatus'));
    const answer = status === undefined ? `gRPC status ${text(at(own, 'abort', 'grpcStatus'))}` : `status ${status}`;
    outcomes.push({
      step: step(
        'filter',
        share === 1 ? 'failed' : 'unknown',
        `A fault answers ${percent(share)} of requests with ${answer}.`,
        resource,
      ),
      ...(share === 1 && { status: status ?? 200 }),
    });
  }
  return outcomes;
}

function cors(filter: Json, policy: Json, { request }: RbacInput): readonly FilterOutcome[] {
  const origin = request.headers.get('origin');
  if (Object.keys(policy).length === 0 || origin === undefined) return [];
  const preflight = request.method === 'OPTIONS' && request.headers.has('access-control-request-method');
  return [
    {
      step: step(
        'filter',
        preflight ? 'matched' : 'passed',
        preflight
          ? 'The proxy answers the preflight request itself, by the CORS policy of the route.'
          : 'The CORS policy of the route adds headers to the answer.',
        { resource: text(filter.name) },
      ),
      ...(preflight && { status: 200 }),
    },
  ];
}

/** What may change or stop a request without the configuration saying so for this one. */
const opaque: Readonly<Record<string, string>> = {
  ExtAuthz: 'An external authoriser is asked, and may deny it.',
  RateLimit: 'A rate limit service is asked, and may answer 429.',
  LocalRateLimit: 'A local rate limit answers 429 when its tokens are used up.',
  Lua: 'A Lua script sees it, and may change or answer it.',
  LuaPerRoute: 'A Lua script sees it, and may change or answer it.',
  Wasm: 'A Wasm module sees it, and may change or answer it.',
  ExternalProcessor: 'An external processor sees it, and may change or answer it.',
  OAuth2: 'A login is demanded of those who have none.',
};

/** An external authoriser is asked about what the rules before it have marked. */
function marksForQuestion(
  filters: readonly Json[],
  input: RbacInput,
): { readonly asked: boolean | undefined; readonly rules: readonly string[] } {
  const marks = filters
    .map((filter) => object(filter.typedConfig))
    .find((config) => text(config.shadowRulesStatPrefix).startsWith('istio_ext_authz_'));
  if (marks?.shadowRules === undefined) return { asked: undefined, rules: [] };
  // Rules of questions are written as DENY: what they match is asked about.
  const { verdict, rules } = evaluateRbac(object(marks.shadowRules), input);
  return { asked: verdict === 'unknown' ? undefined : rules.length > 0, rules };
}

/** Runs the HTTP filters of a connection manager over a request; the last outcome has a status if its way ends there. */
export function runHttpFilters(
  filters: readonly Json[],
  route: Json,
  host: Json,
  input: RbacInput,
): readonly FilterOutcome[] {
  const outcomes: FilterOutcome[] = [];
  for (const filter of filters) {
    const name = text(filter.name);
    const config = object(filter.typedConfig);
    const own = object(at(route, 'typedPerFilterConfig', name) ?? at(host, 'typedPerFilterConfig', name));
    const found = httpFilter(filter, config, own, route, filters, input);
    outcomes.push(...found);
    if (found.some(({ status }) => status !== undefined)) break;
  }
  return outcomes;
}

function httpFilter(
  filter: Json,
  config: Json,
  own: Json,
  route: Json,
  filters: readonly Json[],
  input: RbacInput,
): readonly FilterOutcome[] {
  const type = typeOf(config);
  const resource = text(filter.name);
  switch (type) {
    case 'RBAC':
      return rbac(filter, config, input);
    case 'JwtAuthentication':
      return [jwt(filter, config, input)];
    case 'HTTPFault':
      return fault(filter, Object.keys(own).length > 0 ? own : config);
    case 'Cors':
      return cors(
        filter,
        object(own.policy ?? (typeOf(own) === 'CorsPolicy' ? own : at(route, 'route', 'cors'))),
        input,
      );
    case 'ExtAuthz': {
      const { asked, rules } = marksForQuestion(filters, input);
      if (asked === false)
        return [
          { step: step('filter', 'passed', 'No policy has an external authoriser asked about it.', { resource }) },
        ];
      const service =
        text(at(config, 'grpcService', 'envoyGrpc', 'clusterName')) ||
        text(at(config, 'httpService', 'serverUri', 'cluster'));
      return [
        {
          step: step('filter', 'unknown', `The external authoriser ${service} is asked, and may deny it.`, {
            resource,
            from: policiesOf(rules),
          }),
        },
      ];
    }
    default: {
      const said = opaque[type];
      if (said !== undefined) return [{ step: step('filter', 'unknown', said, { resource }) }];
      if (silent.has(type) || type === '') return [];
      return [
        {
          step: step('filter', 'unknown', `The filter ${resource} sees it; what it does is not known here.`, {
            resource,
          }),
        },
      ];
    }
  }
}

/** Network filters before the last one: of them only authorization decides. */
export function runNetworkFilters(filters: readonly Json[], input: RbacInput): readonly FilterOutcome[] {
  return filters.flatMap((filter) => {
    const config = object(filter.typedConfig);
    return typeOf(config) === 'RBAC' ? rbac(filter, config, input) : [];
  });
}

/** The cluster, or clusters with their shares, of a tcp_proxy filter. */
export function tcpClusters(config: Json): readonly { readonly name: string; readonly share: number }[] {
  const weighted = list(at(config, 'weightedClusters', 'clusters'));
  if (weighted.length === 0) return texts([config.cluster]).map((name) => ({ name, share: 1 }));
  const total = weighted.reduce((sum, { weight }) => sum + (number(weight) ?? 0), 0);
  return weighted.map(({ name, weight }) => ({ name: text(name), share: (number(weight) ?? 0) / (total || 1) }));
}
