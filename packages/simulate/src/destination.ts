import { type ExplainStep, type ProxyConfiguration, step } from './explanation.ts';
import { at, type Json, list, number, object, text, typeOf } from '@istio-ts/envoy-dump/json';
import { originOf, servicesOf } from './origin.ts';

/** The end of a way: the steps to it, and the status if the proxy answers itself. */
export interface Arrival {
  readonly steps: readonly ExplainStep[];
  readonly status?: number;
  readonly summary: string;
}

const percent = (share: number): string => `${Number((share * 100).toFixed(2))} %`;

interface Endpoints {
  readonly total: number;
  readonly healthy: number;
}

function endpointsOf(assignments: readonly Json[], cluster: Json): Endpoints | undefined {
  const name = text(at(cluster, 'edsClusterConfig', 'serviceName')) || text(cluster.name);
  const assignment = assignments.find(({ clusterName }) => clusterName === name) ?? object(cluster.loadAssignment);
  if (Object.keys(assignment).length === 0) return undefined;
  const endpoints = list(assignment.endpoints).flatMap(({ lbEndpoints }) => list(lbEndpoints));
  const healthy = endpoints.filter(
    ({ healthStatus }) => !['UNHEALTHY', 'DRAINING', 'TIMEOUT'].includes(text(healthStatus)),
  );
  return { total: endpoints.length, healthy: healthy.length };
}

/** How the connection to a cluster's endpoints is protected. */
function security(cluster: Json): string {
  const sockets = list(cluster.transportSocketMatches).map(({ name }) => text(name));
  if (sockets.includes('tlsMode-istio')) return 'mutual TLS to endpoints with a proxy, plain text to others';
  const config = at(cluster, 'transportSocket', 'typedConfig');
  if (typeOf(config) !== 'UpstreamTlsContext') return 'plain text';
  const sni = text(at(config, 'sni'));
  return sni === '' ? 'TLS' : `TLS with the server name ${sni}`;
}

/** Clusters that are no service. */
const special: Readonly<
  Record<string, { readonly verdict: ExplainStep['verdict']; readonly sentence: string; readonly status?: number }>
> = {
  PassthroughCluster: { verdict: 'passed', sentence: 'It goes where the application wanted it to go, as it is.' },
  InboundPassthroughCluster: {
    verdict: 'passed',
    sentence: 'It goes to the application as it is: no Service has this port.',
  },
  BlackHoleCluster: {
    verdict: 'denied',
    sentence: 'What the mesh does not know is not let out (outboundTrafficPolicy REGISTRY_ONLY).',
    status: 502,
  },
};

/** What a cluster is and whether anybody is there. */
export function arriveAt(configuration: ProxyConfiguration, name: string, share: number): Arrival {
  const known = special[name];
  if (known !== undefined) {
    return {
      steps: [step('destination', known.verdict, known.sentence, { resource: name })],
      ...(known.status !== undefined && { status: known.status }),
      summary: known.sentence,
    };
  }
  const cluster = configuration.clusters.find((candidate) => candidate.name === name);
  const portion = share === 1 ? 'It goes' : `${percent(share)} of such requests go`;
  if (cluster === undefined) {
    const sentence = `${portion} to ${name}, which the proxy does not know: the subset or the Service is missing.`;
    return {
      steps: [step('destination', 'failed', sentence, { resource: name })],
      status: 503,
      summary: `503: ${name} is missing.`,
    };
  }
  const inbound = /^inbound\|(\d+)\|/.exec(name);
  if (inbound !== null) {
    const sentence = `It goes to the application at port ${inbound[1]}.`;
    return {
      steps: [step('destination', 'matched', sentence, { resource: name, from: originOf(cluster) })],
      summary: sentence,
    };
  }
  const [, port = '', subset = '', host = name] = /^outbound[|_.]+(\d+)[|_.]+([^|]*)\|(.*)$/.exec(name) ?? [];
  const where = `${host}${port === '' ? '' : `:${port}`}${subset === '' ? '' : ` subset ${subset}`}`;
  const steps = [
    step('destination', 'matched', `${portion} to ${where}, by ${security(cluster)}.`, {
      resource: name,
      from: [...servicesOf(cluster), ...originOf(cluster)],
    }),
  ];
  const endpoints = endpointsOf(configuration.assignments, cluster);
  if (endpoints === undefined || ['ORIGINAL_DST', 'LOGICAL_DNS', 'STRICT_DNS'].includes(text(cluster.type)))
    return { steps, summary: `${where} answers.` };
  if (endpoints.healthy === 0) {
    const why = endpoints.total === 0 ? 'has no endpoints' : `has ${endpoints.total} endpoints and none is healthy`;
    return {
      steps: [...steps, step('endpoint', 'failed', `${where} ${why}.`, { resource: name })],
      status: 503,
      summary: `503: ${where} ${why}.`,
    };
  }
  const some = endpoints.healthy === endpoints.total ? '' : ` of ${endpoints.total}`;
  const which =
    endpoints.healthy === 1
      ? `Its only healthy endpoint${some}`
      : `One of its ${endpoints.healthy}${some} healthy endpoints`;
  return {
    steps: [...steps, step('endpoint', 'matched', `${which} gets it.`, { resource: name })],
    summary: `${where} answers.`,
  };
}

/** Arrivals at several clusters, most likely first. */
export function arriveAtAll(
  configuration: ProxyConfiguration,
  clusters: readonly { readonly name: string; readonly share: number }[],
): Arrival {
  const arrivals = clusters
    .filter(({ share }) => share > 0)
    .sort((a, b) => b.share - a.share)
    .map(({ name, share }) => ({ ...arriveAt(configuration, name, share), share }));
  const [only] = arrivals;
  if (only === undefined)
    return {
      steps: [step('destination', 'failed', 'The route leads nowhere: all its weights are 0.')],
      status: 503,
      summary: '503: the route leads nowhere.',
    };
  const steps = arrivals.flatMap((arrival) => arrival.steps);
  if (arrivals.length === 1)
    return { steps, ...(only.status !== undefined && { status: only.status }), summary: only.summary };
  const same = new Set(arrivals.map(({ status }) => status)).size === 1;
  return {
    steps,
    ...(same && only.status !== undefined && { status: only.status }),
    summary: arrivals.map(({ share, summary }) => `${percent(share)}: ${summary}`).join(' '),
  };
}

const statusOf: Readonly<Record<string, number>> = {
  MOVED_PERMANENTLY: 301,
  FOUND: 302,
  SEE_OTHER: 303,
  TEMPORARY_REDIRECT: 307,
  PERMANENT_REDIRECT: 308,
};

/** Carries out what a route says (config.route.v3.Route). */
export function follow(configuration: ProxyConfiguration, route: Json, headers: ReadonlyMap<string, string>): Arrival {
  const from = originOf(route);
  const { redirect, directResponse } = route;
  if (redirect !== undefined) {
    const to = object(redirect);
    const status = statusOf[text(to.responseCode)] ?? 301;
    const target = [text(to.schemeRedirect), text(to.hostRedirect), text(to.pathRedirect) || text(to.prefixRewrite)]
      .filter(Boolean)
      .join(' ');
    const sentence = `The proxy answers with a redirect (${status})${to.httpsRedirect === true ? ' to HTTPS' : target === '' ? '' : ` to ${target}`}.`;
    return { steps: [step('end', 'matched', sentence, { from })], status, summary: sentence };
  }
  if (directResponse !== undefined) {
    const status = number(object(directResponse).status) ?? 200;
    const sentence = `The proxy answers itself with status ${status}.`;
    return { steps: [step('end', 'matched', sentence, { from })], status, summary: sentence };
  }
  const action = object(route.route);
  const changes = changesOf(action);
  const steps = changes.length > 0 ? [step('route', 'changed', `${changes.join('; ')}.`, { from })] : [];
  const weighted = list(at(action, 'weightedClusters', 'clusters'));
  const total = weighted.reduce((sum, { weight }) => sum + (number(weight) ?? 0), 0);
  const byHeader = text(action.clusterHeader);
  const clusters =
    weighted.length > 0
      ? weighted.map(({ name, weight }) => ({ name: text(name), share: (number(weight) ?? 0) / (total || 1) }))
      : [{ name: byHeader === '' ? text(action.cluster) : (headers.get(byHeader.toLowerCase()) ?? ''), share: 1 }];
  const arrival = arriveAtAll(configuration, clusters);
  return { ...arrival, steps: [...steps, ...arrival.steps] };
}

/** What a route changes about a request and how patient it is, in words. */
function changesOf(action: Json): readonly string[] {
  const changes: string[] = [];
  const rewrite = text(action.prefixRewrite) || text(at(action, 'regexRewrite', 'substitution'));
  if (rewrite !== '') changes.push(`The path is rewritten to ${rewrite}`);
  const host = text(action.hostRewriteLiteral);
  if (host !== '') changes.push(`The host becomes ${host}`);
  const timeout = text(action.timeout);
  if (timeout !== '' && timeout !== '0s') changes.push(`It has ${timeout} to be answered`);
  const retries = number(at(action, 'retryPolicy', 'numRetries'));
  if (retries !== undefined && retries > 0)
    changes.push(
      `It is tried ${retries} more times on ${text(at(action, 'retryPolicy', 'retryOn')).replaceAll(',', ', ')}`,
    );
  for (const mirror of list(action.requestMirrorPolicies)) changes.push(`A copy goes to ${text(mirror.cluster)}`);
  return changes;
}
