import type { Graph, GraphType, ItemList, NamespaceList } from '../api.ts';
import { References } from '../config/references.ts';
import { buildGraph } from '../graph/build.ts';
import { ApiFailure } from '../http/failure.ts';
import { durationParam, flagParam, nameParam, namespacesParam, numberParam } from '../http/query.ts';
import type { Call, Route } from '../http/router.ts';
import { drawCharts, stepOf } from '../items/charts.ts';
import { around, describeItem, detailOf, sortName } from '../items/details.ts';
import { type ItemSort, listItems } from '../items/lists.ts';
import { summarize } from '../items/namespaces.ts';
import type { Services } from '../services.ts';
import { SourceError } from '../sources/http-get.ts';

const graphTypes = ['app', 'versionedApp', 'workload', 'service'] as const satisfies readonly GraphType[];
const sorts = ['services', 'workloads', 'apps'] as const satisfies readonly ItemSort[];

/** The end of the time range: now, or `at=MS`. */
const atParam = ({ query, now }: Call): number => numberParam(query, 'at', { min: 0, max: now + 60_000 }, now);

export function meshRoutes(services: Services): readonly Route[] {
  const { prometheus, settings } = services;
  return [
    {
      method: 'GET',
      path: '/api/namespaces',
      handle: async (call): Promise<NamespaceList> => {
        const { caller, query } = call;
        const namespaces = await caller.mesh.namespaces(namespacesParam(query));
        const [state, { samples }, analysis] = await Promise.all([
          caller.mesh.state(),
          caller.mesh.traffic(prometheus, namespaces, durationParam(query, 60), atParam(call)),
          services.analystOf(caller).stored(),
        ]);
        return { items: summarize(namespaces, state, samples, analysis.problems, settings.istioNamespace) };
      },
    },
    { method: 'GET', path: '/api/graph', handle: (call) => graph(services, call) },
    ...sorts.flatMap((sort): readonly Route[] => [
      { method: 'GET', path: `/api/${sort}`, handle: (call) => items(services, sort, call) },
      { method: 'GET', path: `/api/${sort}/:namespace/:name`, handle: (call) => detail(services, sort, call) },
    ]),
  ];
}

async function graph({ prometheus }: Services, call: Call): Promise<Graph> {
  const { caller, query } = call;
  const asked = query.get('type') ?? 'versionedApp';
  const type = graphTypes.find((each) => each === asked);
  if (!type)
    throw new ApiFailure(
      400,
      `there is no graph of type "${asked.slice(0, 40)}": use one of ${graphTypes.join(', ')}`,
      {
        field: 'type',
      },
    );
  const namespaces = await caller.mesh.namespaces(namespacesParam(query));
  const duration = durationParam(query, 60);
  const at = atParam(call);
  const [state, { samples, warnings }] = await Promise.all([
    caller.mesh.state(),
    caller.mesh.traffic(prometheus, namespaces, duration, at),
  ]);
  return buildGraph({
    type,
    at,
    duration,
    samples,
    mesh: state.mesh,
    config: state.config,
    namespaces,
    serviceNodes: flagParam(query, 'services', true),
    idle: flagParam(query, 'idle', true),
    warnings: [...warnings, ...state.warnings],
  });
}

async function items({ prometheus, settings }: Services, sort: ItemSort, call: Call): Promise<ItemList> {
  const { caller, query } = call;
  const namespaces = await caller.mesh.namespaces(namespacesParam(query));
  const [state, { samples }] = await Promise.all([
    caller.mesh.state(),
    caller.mesh.traffic(prometheus, namespaces, durationParam(query, 60), atParam(call)),
  ]);
  const references = new References(state, settings.istioNamespace);
  return { items: listItems(sort, new Set(namespaces), { mesh: state.mesh, references, samples }) };
}

async function detail({ prometheus, settings }: Services, sort: ItemSort, call: Call) {
  const { caller, params, query } = call;
  const namespace = nameParam(params, 'namespace');
  const name = nameParam(params, 'name');
  const duration = durationParam(query, 600);
  const at = atParam(call);
  const [only] = await caller.mesh.namespaces([namespace]);
  const [state, { samples, warnings }] = await Promise.all([
    caller.mesh.state(),
    caller.mesh.traffic(prometheus, [only ?? namespace], Math.min(duration, 600), at),
  ]);
  const { mesh, config } = state;
  const step = stepOf(duration);
  const references = new References(state, settings.istioNamespace);
  const description = describeItem(sort, namespace, name, { mesh, references, samples }, step);
  if (!description)
    throw new ApiFailure(404, `there is no ${sortName[sort]} ${name} in namespace ${namespace}`, {
      object: { kind: sortName[sort], namespace, name },
    });
  const charts = await drawCharts(prometheus, description.charts, { start: at - duration * 1000, end: at, step }).catch(
    (error) => {
      if (error instanceof SourceError) return [];
      throw error;
    },
  );
  const neighbours = buildGraph({
    type: sort === 'apps' ? 'app' : 'workload',
    at,
    duration,
    samples,
    mesh,
    config,
    namespaces: [namespace],
    // A service is where those who call it and those who answer meet.
    serviceNodes: sort === 'services',
    idle: true,
    warnings,
  });
  return detailOf(description, charts, around(neighbours, description.node));
}
