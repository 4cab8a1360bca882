import { kubernetesTypes } from '@istio-ts/api/resource-types';
import { ApiFailure } from '../http/failure.ts';
import { flagParam, isName, list, nameParam, numberParam } from '../http/query.ts';
import { type Call, type Route, streamed } from '../http/router.ts';
import type { LogSource } from '../logs/container-log.ts';
import { streamLogs } from '../logs/stream.ts';
import { canonicalName, selects } from '../mesh/mesh-view.ts';
import { type Pod, readPod } from '../mesh/pods.ts';

const maxTail = 100_000;
/** Of many pods together: all of these lines are in memory once, to be put in order. */
const maxTailOfMany = 20_000;
const maxText = 1_000;

export function logRoutes(): readonly Route[] {
  return [
    { method: 'GET', path: '/api/logs/:namespace/:pod', handle: podLogs },
    { method: 'GET', path: '/api/logs', handle: logsTogether },
  ];
}

function sourcesOf(pod: Pod, containers: readonly string[]): readonly LogSource[] {
  const { name, restarts, phase } = pod.summary;
  const ended = phase === 'Succeeded' || phase === 'Failed';
  return pod.summary.containers
    .filter((container) => containers.length === 0 || containers.includes(container))
    .map((container) => ({ pod: name, container, start: String(restarts), ended }));
}

/** What all requests for logs may say. Raises ApiFailure 400. */
function rangeOf({ query, now }: Call, most: number) {
  const since = numberParam(query, 'since', { min: 1, max: 365 * 24 * 3600 }, undefined);
  const contains = query.get('contains') ?? '';
  if (contains.length > maxText)
    throw new ApiFailure(400, `contains is longer than ${maxText} characters`, { field: 'contains' });
  return {
    tail: Math.round(numberParam(query, 'tail', { min: 0, max: most }, 200)),
    sinceTime: since === undefined ? undefined : new Date(now - since * 1000).toISOString(),
    follow: flagParam(query, 'follow', false),
    contains,
  };
}

function refuseUnknown(asked: readonly string[], known: readonly string[], where: string): void {
  const wrong = asked.find((name) => !isName(name) || !known.includes(name));
  if (wrong !== undefined)
    throw new ApiFailure(404, `${where} has no container "${wrong.slice(0, 63)}": it has ${known.join(', ')}`, {
      field: 'container',
    });
}

/** Lines of a pod's containers, as server-sent events. */
async function podLogs(call: Call): Promise<typeof streamed> {
  const { caller, params, query, response } = call;
  const namespace = nameParam(params, 'namespace');
  const name = nameParam(params, 'pod');
  await caller.mesh.namespaces([namespace]);
  const read = async (): Promise<Pod> => readPod(await caller.client.get(kubernetesTypes.Pod, name, namespace));
  const { containers } = (await read()).summary;
  const asked = list(query, 'container');
  refuseUnknown(asked, containers, `pod ${name}`);
  const range = rangeOf(call, maxTail);
  await streamLogs(
    caller.client,
    {
      ...range,
      namespace,
      sources: async () => sourcesOf(await read(), asked),
      most: range.tail * Math.max(1, containers.length),
      severalPods: false,
    },
    response,
  );
  return streamed;
}

/** What the pods of something have in common: which it is. */
async function podsOf(call: Call): Promise<{
  readonly namespace: string;
  readonly what: string;
  readonly belongs: (pod: Pod) => boolean;
}> {
  const { caller, query } = call;
  const given = (['workload', 'app', 'service'] as const).filter((kind) => query.has(kind));
  const [kind] = given;
  if (kind === undefined || given.length > 1)
    throw new ApiFailure(400, 'say whose logs: workload=NS/NAME, app=NS/NAME or service=NS/NAME, one of them');
  const [namespace = '', name = '', ...more] = (query.get(kind) ?? '').split('/');
  if (!isName(namespace) || !isName(name.toLowerCase()) || more.length > 0)
    throw new ApiFailure(400, `${kind} must be a namespace and a name: NS/NAME`, { field: kind });
  await caller.mesh.namespaces([namespace]);
  const { mesh } = await caller.mesh.state();
  const what = `${kind} ${namespace}/${name}`;
  const unknown = (): ApiFailure => new ApiFailure(404, `there is no ${what}`, { field: kind });
  switch (kind) {
    case 'workload': {
      const workload = mesh.workload(namespace, name);
      if (!workload) throw unknown();
      return {
        namespace,
        what,
        belongs: ({ owner }) => owner.name === workload.name && owner.kind === workload.kind,
      };
    }
    case 'app': {
      if (!mesh.app(namespace, name)) throw unknown();
      return { namespace, what, belongs: ({ labels, owner }) => canonicalName(labels, owner.name) === name };
    }
    case 'service': {
      const service = mesh.service(namespace, name);
      if (!service) throw unknown();
      // Without a selector a Service has no pods of its own.
      const chooses = Object.keys(service.selector).length > 0;
      return { namespace, what, belongs: ({ labels }) => chooses && selects(service.selector, labels) };
    }
  }
}

/** Lines of all pods of a workload, an application or a service. */
async function logsTogether(call: Call): Promise<typeof streamed> {
  const { caller, query, response } = call;
  const range = rangeOf(call, maxTailOfMany);
  const { namespace, what, belongs } = await podsOf(call);
  const asked = list(query, 'container');
  const pods = async (): Promise<readonly Pod[]> => {
    const { items, forbidden } = await caller.mesh.cluster.list('Pod', { namespace });
    if (forbidden !== undefined) throw new ApiFailure(403, forbidden);
    return items
      .map(readPod)
      .filter((pod) => !['Succeeded', 'Failed'].includes(pod.summary.phase) && belongs(pod))
      .sort((a, b) => (a.summary.name < b.summary.name ? -1 : 1));
  };
  const now = await pods();
  if (now.length === 0 && !range.follow) throw new ApiFailure(404, `${what} has no pods`);
  const containers = [...new Set(now.flatMap(({ summary }) => summary.containers))];
  if (now.length > 0) refuseUnknown(asked, containers, what);
  await streamLogs(
    caller.client,
    {
      ...range,
      namespace,
      sources: async () => (await pods()).flatMap((pod) => sourcesOf(pod, asked)),
      most: range.tail,
      severalPods: true,
    },
    response,
  );
  return streamed;
}
