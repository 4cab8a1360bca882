import type { Call, SpecialHandler } from '../http/handler.ts';
import { patched, patchKind } from '../http/patch.ts';
import { sendJson } from '../http/respond.ts';
import { asNumber, asObject, at, clone, ensureObject, isObject, type JsonObject } from '../json.ts';
import type { ApiObject } from '../object.ts';
import type { Target } from '../operations/context.ts';
import { badRequest, methodNotAllowed } from '../status.ts';
import type { SpecialOptions } from './special.ts';

interface ScaleFields {
  readonly replicas: readonly string[];
  readonly current: readonly string[];
  readonly selector: readonly string[] | undefined;
}

const segments = (path: string): string[] => path.replace(/^\./, '').split('.');

function fieldsOf(target: Target): ScaleFields {
  const custom = target.definition.custom?.get(target.version)?.scale;
  if (custom === undefined)
    return { replicas: ['spec', 'replicas'], current: ['status', 'replicas'], selector: undefined };
  return {
    replicas: segments(custom.specReplicasPath),
    current: segments(custom.statusReplicasPath),
    selector: custom.labelSelectorPath === undefined ? undefined : segments(custom.labelSelectorPath),
  };
}

function selectorText(selector: unknown): string {
  if (typeof selector === 'string') return selector;
  const object = asObject(selector);
  const labels = isObject(object.matchLabels)
    ? object.matchLabels
    : object.matchExpressions === undefined
      ? object
      : {};
  return Object.entries(labels)
    .map(([key, value]) => `${key}=${String(value)}`)
    .sort()
    .join(',');
}

function scaleOf(object: ApiObject, target: Target): JsonObject {
  const fields = fieldsOf(target);
  const { name, namespace, uid, resourceVersion, creationTimestamp } = object.metadata;
  const selector = fields.selector === undefined ? asObject(object.spec).selector : at(object, ...fields.selector);
  return {
    kind: 'Scale',
    apiVersion: 'autoscaling/v1',
    metadata: { name, ...(namespace === undefined ? {} : { namespace }), uid, resourceVersion, creationTimestamp },
    spec: { replicas: asNumber(at(object, ...fields.replicas)) },
    status: { replicas: asNumber(at(object, ...fields.current)), selector: selectorText(selector) },
  };
}

function withReplicas(object: ApiObject, target: Target, replicas: number): ApiObject {
  const copy = clone(object);
  const path = fieldsOf(target).replicas;
  let parent: JsonObject = copy;
  for (const key of path.slice(0, -1)) parent = ensureObject(parent, key);
  parent[path.at(-1) ?? 'replicas'] = replicas;
  return copy;
}

/** The `scale` subresource of workloads and of custom resources that declare one. */
export function scaleHandlers({ operations }: SpecialOptions): [string, SpecialHandler][] {
  const handler = async (call: Call): Promise<void> => {
    const { request, response, context } = call;
    const target: Target = { ...call.target, subresource: '' };
    const answer = (object: ApiObject) => sendJson(request, response, 200, scaleOf(object, target));
    if (request.method === 'GET') {
      answer(operations.get(target));
      return;
    }
    if (request.method !== 'PUT' && request.method !== 'PATCH') throw methodNotAllowed();
    const body = await call.body();
    const kind = request.method === 'PATCH' ? String(request.headers['content-type'] ?? '') : '';
    const object = await operations.update(
      target,
      (current) => {
        const scale = scaleOf(current, target) as ApiObject;
        let wanted: unknown = body;
        if (kind !== '') {
          const type = patchKind(kind, false);
          const scaleTarget = {
            ...target,
            name: '',
            definition: { ...target.definition, group: 'autoscaling', kind: 'Scale' },
            version: 'v1',
          };
          wanted =
            type === 'application/apply-patch+yaml'
              ? body
              : patched(
                  operations,
                  scaleTarget,
                  type === 'application/strategic-merge-patch+json' ? 'application/merge-patch+json' : type,
                  scale,
                  body,
                );
        }
        const replicas = asObject(asObject(wanted).spec).replicas;
        const given = asObject(asObject(wanted).metadata).resourceVersion;
        if (typeof replicas !== 'number' || !Number.isInteger(replicas) || replicas < 0) {
          throw badRequest(
            `spec.replicas: Invalid value: ${JSON.stringify(replicas)}: must be greater than or equal to 0`,
          );
        }
        const changed = withReplicas(current, target, replicas);
        if (kind === '' && typeof given === 'string' && given !== '') changed.metadata.resourceVersion = given;
        return changed;
      },
      context,
    );
    answer(object);
  };
  return [['*/scale', handler]];
}
