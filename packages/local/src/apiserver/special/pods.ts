import type { Call, SpecialHandler } from '../http/handler.ts';
import { sendJson } from '../http/respond.ts';
import { asArray, asNumber, asObject, asObjects, asString, isObject } from '../json.ts';
import { NO_DELETE_OPTIONS, type Target } from '../operations/context.ts';
import { timestamp } from '../object.ts';
import { matchesLabelSelector } from '../selectors.ts';
import { ApiError, badRequest, conflict, methodNotAllowed } from '../status.ts';
import { proxyHandlers } from './proxy.ts';
import type { SpecialOptions } from './special.ts';

const SUCCESS = { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', code: 201 };

function count(query: URLSearchParams, name: string): number | undefined {
  const text = query.get(name);
  if (text === null || text === '') return undefined;
  const number = Number(text);
  if (!Number.isInteger(number) || number < 0)
    throw badRequest(`${name}: Invalid value: ${JSON.stringify(text)}: must be a number of at least 0`);
  return number;
}

/** The container a request is about; the only one if none is named. Throws 400 with the names to choose from. */
export function containerOf(pod: Record<string, unknown>, requested: string | null, podName: string): string {
  const spec = asObject(pod.spec);
  const names = (field: string) => asObjects(spec[field]).map((item) => asString(item.name));
  const containers = names('containers');
  const all = [...containers, ...names('initContainers'), ...names('ephemeralContainers')];
  if (requested !== null && requested !== '') {
    if (!all.includes(requested)) throw badRequest(`container ${requested} is not valid for pod ${podName}`);
    return requested;
  }
  const [only] = containers;
  if (containers.length === 1 && only !== undefined) return only;
  const init = names('initContainers');
  const extra = init.length === 0 ? '' : ` or one of the init containers: [${init.join(' ')}]`;
  throw badRequest(
    `a container name must be specified for pod ${podName}, choose one of: [${containers.join(' ')}]${extra}`,
  );
}

/** `log`, `eviction`, `binding`, `proxy` of pods; `exec`, `attach` and `portforward` need a protocol upgrade, see `streaming/`. */
export function podHandlers(options: SpecialOptions): [string, SpecialHandler][] {
  const { operations, runtime } = options;
  const log: SpecialHandler = async (call) => {
    const { target, url, response, request } = call;
    const pod = operations.stored({ ...target, subresource: '' });
    const query = url.searchParams;
    const container = containerOf(pod, query.get('container'), target.name);
    const flag = (name: string) => query.get(name) === 'true' || query.get(name) === '1';
    const sinceTime = query.get('sinceTime');
    let stream: Awaited<ReturnType<typeof runtime.logs>>;
    try {
      stream = await runtime.logs(target.namespace, target.name, {
        container,
        follow: flag('follow'),
        previous: flag('previous'),
        timestamps: flag('timestamps'),
        ...(count(query, 'tailLines') === undefined ? {} : { tailLines: count(query, 'tailLines') }),
        ...(count(query, 'sinceSeconds') === undefined ? {} : { sinceSeconds: count(query, 'sinceSeconds') }),
        ...(count(query, 'limitBytes') === undefined ? {} : { limitBytes: count(query, 'limitBytes') }),
        ...(sinceTime === null ? {} : { sinceTime }),
      });
    } catch (error) {
      throw badRequest(error instanceof Error ? error.message : String(error));
    }
    response.writeHead(200, { 'Content-Type': 'text/plain', 'Cache-Control': 'no-cache, private' });
    response.flushHeaders();
    request.once('close', () => stream.destroy());
    response.once('close', () => stream.destroy());
    stream.on('error', () => response.end());
    stream.pipe(response);
  };
  const eviction: SpecialHandler = async (call) => {
    if (call.request.method !== 'POST') throw methodNotAllowed();
    const { target, context } = call;
    const pod = operations.stored({ ...target, subresource: '' });
    const body = asObject(await call.body());
    for (const budget of operations.store.list('policy/poddisruptionbudgets', target.namespace)) {
      if (!matchesLabelSelector(asObject(pod.metadata.labels), asObject(budget.spec).selector)) continue;
      const ready = asObjects(asObject(pod.status).conditions).some(
        (condition) => condition.type === 'Ready' && condition.status === 'True',
      );
      if (ready && asNumber(asObject(budget.status).disruptionsAllowed) <= 0) {
        throw new ApiError(
          429,
          'TooManyRequests',
          "Cannot evict pod as it would violate the pod's disruption budget.",
          {
            causes: [
              {
                reason: 'DisruptionBudget',
                message: `The disruption budget ${budget.metadata.name} does not allow it at the moment`,
              },
            ],
          },
        );
      }
    }
    const deletion = asObject(body.deleteOptions);
    const grace = deletion.gracePeriodSeconds;
    const dryRun = asArray(deletion.dryRun).includes('All') || context.dryRun;
    await operations.delete(
      { ...target, subresource: '' },
      { ...NO_DELETE_OPTIONS, gracePeriodSeconds: typeof grace === 'number' ? grace : undefined },
      { ...context, dryRun },
    );
    sendJson(call.request, call.response, 201, SUCCESS);
  };
  const bind = async (call: Call, target: Target): Promise<void> => {
    const body = asObject(await call.body());
    const node = asString(asObject(body.target).name);
    if (node === '') throw badRequest('Binding "" is invalid: target.name: Required value');
    await operations.update(
      { ...target, subresource: '' },
      (pod) => {
        const spec = asObject(pod.spec);
        const before = asString(spec.nodeName);
        if (before !== '')
          throw conflict(
            target.definition,
            target.name,
            `pod ${target.name} is already assigned to node ${JSON.stringify(before)}`,
          );
        const status = asObject(pod.status);
        const conditions = asObjects(status.conditions).filter((condition) => condition.type !== 'PodScheduled');
        conditions.push({
          type: 'PodScheduled',
          status: 'True',
          lastProbeTime: null,
          lastTransitionTime: timestamp(operations.now()),
        });
        return { ...pod, spec: { ...spec, nodeName: node }, status: { ...status, conditions } };
      },
      call.context,
    );
    sendJson(call.request, call.response, 201, SUCCESS);
  };
  const binding: SpecialHandler = (call) => bind(call, call.target);
  const bindings: SpecialHandler = async (call) => {
    const body = await call.body();
    const name = isObject(body) ? asString(asObject(body.metadata).name) : '';
    const served = operations.registry.find('', 'v1', 'pods');
    if (served === undefined) throw badRequest('pods are not served');
    await bind(
      { ...call, body: async () => body },
      { ...served, namespace: call.target.namespace, name, subresource: '' },
    );
  };
  // Refused rather than stored and never started: `kubectl debug` would wait for it without a word.
  const ephemeralContainers: SpecialHandler = async (call) => {
    throw badRequest(
      `the local cluster does not run ephemeral containers. Look into pod ${call.target.name} with kubectl exec, or debug a copy of it: kubectl debug ${call.target.name} --copy-to=${call.target.name}-debug --image=busybox -it`,
    );
  };
  const upgradeOnly: SpecialHandler = async () => {
    throw badRequest('Upgrade request required');
  };
  return [
    ['/pods/log', log],
    ['/pods/eviction', eviction],
    ['/pods/binding', binding],
    ['/bindings', bindings],
    ['/pods/ephemeralcontainers', ephemeralContainers],
    ['/pods/exec', upgradeOnly],
    ['/pods/attach', upgradeOnly],
    ['/pods/portforward', upgradeOnly],
    ...proxyHandlers(options),
  ];
}
