import type { DashboardList, Trace, TraceList } from '../api.ts';
import { ApiFailure } from '../http/failure.ts';
import { list, numberParam } from '../http/query.ts';
import { type Call, type Route, streamed } from '../http/router.ts';
import type { Services } from '../services.ts';
import { SourceError } from '../sources/http-get.ts';
import { namespaceOfService, summarize } from '../traces/jaeger.ts';

/** Prometheus refuses ranges with more points by itself; queries have a bound of their own. */
const maxQuery = 16_384;
const maxPoints = 11_000;
const hour = 3600_000;

export function telemetryRoutes(services: Services): readonly Route[] {
  return [
    {
      method: 'GET',
      path: '/api/dashboards',
      handle: async (): Promise<DashboardList> => ({
        items: [...services.dashboards.values()].map(({ uid, title, description }) => ({ uid, title, description })),
      }),
    },
    {
      method: 'GET',
      path: '/api/dashboards/:uid',
      handle: async ({ params }) => {
        const found = services.dashboards.get(params.uid ?? '');
        if (!found) throw new ApiFailure(404, `there is no dashboard "${(params.uid ?? '').slice(0, 64)}"`);
        return found.json;
      },
    },
    {
      method: 'GET',
      path: '/api/query',
      handle: (call) => prometheusQuery(services, call, 'query', ['query', 'time']),
    },
    {
      method: 'GET',
      path: '/api/query_range',
      handle: (call) => prometheusQuery(services, call, 'query_range', ['query', 'start', 'end', 'step']),
    },
    { method: 'GET', path: '/api/traces', handle: (call) => searchTraces(services, call) },
    { method: 'GET', path: '/api/traces/:id', handle: (call) => oneTrace(services, call) },
  ];
}

/** Passes a query on and its answer back, as Prometheus' HTTP API has them. */
async function prometheusQuery(
  { prometheus }: Services,
  { caller, query, response }: Call,
  path: 'query' | 'query_range',
  names: readonly string[],
): Promise<typeof streamed> {
  await caller.mesh.seesAll('queries in PromQL');
  const fields = new URLSearchParams();
  for (const name of names) {
    const value = query.get(name);
    if (value === null || value === '') {
      if (name === 'time') continue;
      throw new ApiFailure(400, `${name} is missing`, { field: name });
    }
    if (value.length > maxQuery)
      throw new ApiFailure(400, `${name} is longer than ${maxQuery} characters`, { field: name });
    fields.set(name, value);
  }
  if (path === 'query_range') {
    const [start, end, step] = ['start', 'end', 'step'].map((name) => Number(query.get(name)));
    // Times may be written as dates too; those Prometheus checks.
    if (Number(end) - Number(start) > maxPoints * Number(step))
      throw new ApiFailure(400, `more than ${maxPoints} points: make step larger or the time shorter`, {
        field: 'step',
      });
  }
  fields.set('timeout', '20s');
  const answer = await prometheus.raw(path, fields);
  response.writeHead(answer.status, {
    'content-type': answer.contentType || 'application/json',
    'cache-control': 'no-store',
  });
  response.end(answer.body);
  return streamed;
}

/** `NS/NAME` as traces call it. */
const traceService = (service: string): string => {
  const [namespace = '', name, ...more] = service.split('/');
  return name === undefined || more.length > 0 ? service : `${name}.${namespace}`;
};

function durationText(query: URLSearchParams, name: string): string {
  const text = query.get(name) ?? '';
  if (text === '') return '';
  if (/^\d+(\.\d+)?$/.test(text)) return `${text}ms`;
  if (!/^\d+(\.\d+)?(ns|us|µs|ms|s|m|h)$/.test(text))
    throw new ApiFailure(400, `${name} must be milliseconds or a duration such as 100ms`, { field: name });
  return text;
}

function tagsOf(query: URLSearchParams): Readonly<Record<string, string>> {
  return Object.fromEntries(
    list(query, 'tags').map((pair) => {
      const equals = pair.indexOf('=');
      if (equals <= 0)
        throw new ApiFailure(400, `"${pair.slice(0, 60)}" is not a tag: write name=value`, { field: 'tags' });
      return [pair.slice(0, equals), pair.slice(equals + 1)];
    }),
  );
}

/** Says what is missing, and where it comes from. */
function absent(error: unknown): never {
  if (!(error instanceof SourceError)) throw error;
  throw new ApiFailure(
    502,
    `There are no traces: ${error.message}. Install a trace store with kubectl apply -f addons/jaeger.yaml`,
  );
}

async function searchTraces({ traces }: Services, { caller, query, now }: Call): Promise<TraceList> {
  const { all, names } = await caller.mesh.cluster.visible();
  const mayShow = (service: string): boolean => all || names.includes(namespaceOfService(service) ?? '');
  const known = (await traces.services().catch(absent)).filter(mayShow);
  const service = traceService(query.get('service') ?? '');
  if (service === '') return { items: [], services: known };
  if (!mayShow(service))
    throw new ApiFailure(403, `there is no service ${service}, or you may not look into its namespace`);
  const end = numberParam(query, 'end', { min: 0, max: now + hour }, now);
  const found = await traces.search({
    service,
    operation: query.get('operation') ?? '',
    tags: tagsOf(query),
    minDuration: durationText(query, 'minDuration'),
    maxDuration: durationText(query, 'maxDuration'),
    start: numberParam(query, 'start', { min: 0, max: now + hour }, end - hour),
    end,
    limit: Math.round(numberParam(query, 'limit', { min: 1, max: 1000 }, 20)),
  });
  const items = found
    .map((trace) => limited(trace, mayShow))
    .map(({ all: _all, ...summary }) => summary)
    .sort((a, b) => b.start - a.start);
  return { items, services: known };
}

async function oneTrace({ traces }: Services, { caller, params }: Call): Promise<Trace> {
  const id = params.id ?? '';
  if (!/^[0-9a-fA-F]{1,32}$/.test(id)) throw new ApiFailure(400, `"${id.slice(0, 64)}" is not the id of a trace`);
  const { all, names } = await caller.mesh.cluster.visible();
  const trace = await traces.one(id).catch(absent);
  const mayShow = (service: string): boolean => all || names.includes(namespaceOfService(service) ?? '');
  if (!trace?.all.some(({ service }) => mayShow(service)))
    throw new ApiFailure(404, `there is no trace ${id}: it may be too old to be kept`);
  return limited(trace, mayShow);
}

/** Spans of namespaces that the caller does not see keep their place and their time, and tell nothing else. */
function limited(trace: Trace, mayShow: (service: string) => boolean): Trace {
  if (trace.all.every(({ service }) => mayShow(service))) return trace;
  const spans = trace.all.map((span) =>
    mayShow(span.service) ? span : { ...span, service: 'hidden', operation: 'hidden', tags: {}, logs: [] },
  );
  return { ...summarize(trace.id, spans), all: spans };
}
