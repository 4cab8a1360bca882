import { connectionOf } from './connection.ts';
import { arriveAtAll, follow } from './destination.ts';
import { type Explanation, type ExplainStep, type ProxyConfiguration, step } from './explanation.ts';
import { type FilterOutcome, runHttpFilters, runNetworkFilters, tcpClusters } from './filters.ts';
import { chainName, chooseChain } from './filter-chain.ts';
import { at, type Json, list, object, text, typeOf } from '@istio-ts/envoy-dump/json';
import { chooseListener, networkFilters } from './listener.ts';
import { originOf } from './origin.ts';
import type { RbacInput } from './rbac.ts';
import { type SeenRequest, seenRequest, type SimulatedRequest } from './request.ts';
import { routeFit, routeName } from './route-match.ts';
import { chooseVirtualHost } from './virtual-host.ts';

/** The way so far, and how it ends. */
const ended = (steps: readonly ExplainStep[], summary: string, status?: number): Explanation => ({
  steps,
  summary,
  ...(status !== undefined && { status }),
});

/** The way ends where a filter gives a status. */
function endOf(outcomes: readonly FilterOutcome[]): FilterOutcome | undefined {
  return outcomes.find(({ status }) => status !== undefined);
}

/**
 * Says what a proxy does with a request, by Envoy's rules over the configuration that it has: listener, filter chain, route, filters, destination, each
 * with the objects that decided. Pure; nothing is sent. Raises RequestError when the request cannot be understood.
 */
export function explain(configuration: ProxyConfiguration, asked: SimulatedRequest): Explanation {
  const request = seenRequest(asked);
  const { listener, port, sentence } = chooseListener(configuration.listeners, request);
  if (listener === undefined) return ended([step('listener', 'failed', sentence)], sentence, 0);
  const steps: ExplainStep[] = [
    step('listener', 'matched', sentence, { resource: text(listener.name), from: originOf(listener) }),
  ];
  const { chain, isDefault, others } = chooseChain(listener, connectionOf(request, port));
  if (chain === undefined) {
    const why =
      request.direction === 'inbound' && request.caller === undefined
        ? 'No filter chain takes this connection, so it is closed: without mutual TLS nothing is taken here (PeerAuthentication STRICT), or not this protocol.'
        : 'No filter chain takes this connection, so it is closed.';
    return ended([...steps, step('filter-chain', 'denied', why, { others })], 'The connection is closed.', 0);
  }
  const by =
    request.caller === undefined
      ? request.scheme === 'https'
        ? 'TLS'
        : 'plain text'
      : `mutual TLS from ${request.caller}`;
  steps.push(
    step(
      'filter-chain',
      'matched',
      isDefault
        ? `The listener’s default takes it, as ${by} that nothing else is for.`
        : `${chainName(chain)} takes it: ${by}.`,
      {
        resource: text(chain.name),
        others,
      },
    ),
  );
  const input: RbacInput = { request, port };
  const filters = networkFilters(chain);
  const network = runNetworkFilters(filters, input);
  steps.push(...network.map((outcome) => outcome.step));
  if (endOf(network) !== undefined) return ended(steps, 'The connection is closed: it is not allowed.', 0);
  const manager = filters
    .map(({ typedConfig }) => object(typedConfig))
    .find((config) => typeOf(config) === 'HttpConnectionManager');
  if (manager !== undefined) return http(configuration, manager, input, steps);
  const proxy = filters.map(({ typedConfig }) => object(typedConfig)).find((config) => typeOf(config) === 'TcpProxy');
  const arrival = arriveAtAll(configuration, tcpClusters(proxy ?? {}));
  // A connection is forwarded as it is, so what is behind answers, or it is closed.
  return ended([...steps, ...arrival.steps], arrival.summary, arrival.status === undefined ? undefined : 0);
}

function http(
  configuration: ProxyConfiguration,
  manager: Json,
  input: RbacInput,
  before: readonly ExplainStep[],
): Explanation {
  const steps = [...before];
  const { request } = input;
  const name = text(at(manager, 'rds', 'routeConfigName'));
  const routes =
    name === '' ? object(manager.routeConfig) : configuration.routes.find((candidate) => candidate.name === name);
  if (routes === undefined) {
    const sentence = `The proxy has not got the routes "${name}" yet.`;
    return ended([...steps, step('route', 'failed', sentence, { resource: name })], `404: ${sentence}`, 404);
  }
  const { host, domain, others } = chooseVirtualHost(routes, request);
  if (host === undefined) {
    const sentence = `No virtual host is for ${request.host}.`;
    return ended(
      [...steps, step('route', 'failed', sentence, { resource: text(routes.name), others })],
      `404: ${sentence}`,
      404,
    );
  }
  const chosen = chooseRoutes(host, request);
  const tls = text(host.requireTls);
  if (tls === 'ALL' && request.scheme !== 'https' && request.caller === undefined) {
    const sentence = 'The proxy redirects it to HTTPS (301).';
    return ended(
      [...steps, step('end', 'matched', sentence, { resource: text(host.name), from: originOf(host) })],
      sentence,
      301,
    );
  }
  const [first] = chosen.candidates;
  if (first === undefined) {
    const sentence = `${text(host.name)} has no route for ${request.method} ${request.path}.`;
    return ended(
      [
        ...steps,
        step('route', 'failed', sentence, {
          resource: text(host.name),
          from: originsOfRoutes(host),
          others: chosen.others,
        }),
      ],
      `404: ${sentence}`,
      404,
    );
  }
  steps.push(
    step('route', 'matched', `Virtual host ${text(host.name)} is for ${domain === '*' ? 'every host' : domain}.`, {
      resource: text(host.name),
      others,
    }),
    step(
      'route',
      first.certain ? 'matched' : 'unknown',
      `${routeName(first.route)} takes ${first.why}${first.certain ? '' : '; else the next that fits does'}.`,
      {
        resource: text(first.route.name),
        from: originOf(first.route),
        others: chosen.others,
      },
    ),
  );
  const outcomes = runHttpFilters(list(manager.httpFilters), first.route, host, input);
  steps.push(...outcomes.map((outcome) => outcome.step));
  const end = endOf(outcomes);
  if (end !== undefined) return ended(steps, `${end.status}: ${end.step.text}`, end.status);
  const arrival = follow(configuration, first.route, request.headers);
  return ended([...steps, ...arrival.steps], arrival.summary, arrival.status);
}

interface Candidate {
  readonly route: Json;
  readonly why: string;
  readonly certain: boolean;
}

/** The routes that may take a request up to the first that surely does, and why those before it do not. */
function chooseRoutes(
  host: Json,
  request: SeenRequest,
): { readonly candidates: readonly Candidate[]; readonly others: ExplainStep['others'] } {
  const candidates: Candidate[] = [];
  const others: { name: string; why: string }[] = [];
  for (const route of list(host.routes)) {
    const { matches, why } = routeFit(object(route.match), request);
    if (matches === false) others.push({ name: routeName(route), why });
    else candidates.push({ route, why: why.replace(/^it takes /, ''), certain: matches === true });
    if (matches === true) break;
  }
  for (const { route, why } of candidates.slice(1))
    others.push({ name: routeName(route), why: `it comes later; it takes ${why}` });
  return { candidates, others };
}

const originsOfRoutes = (host: Json) => [
  ...new Map(
    list(host.routes)
      .flatMap(originOf)
      .map((origin) => [`${origin.kind} ${origin.namespace}/${origin.name}`, origin]),
  ).values(),
];
