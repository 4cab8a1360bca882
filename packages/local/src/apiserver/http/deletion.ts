import { asObject, asString, isObject } from '../json.ts';
import { type DeleteOptions, NO_DELETE_OPTIONS, type RequestContext } from '../operations/context.ts';
import { badRequest } from '../status.ts';
import type { Call } from './handler.ts';

/** What a deletion's query and body ask for, and the context that a dry run in the body makes. Raises a 400 `ApiError`. */
export async function deletionOf(
  call: Call,
): Promise<{ readonly options: DeleteOptions; readonly context: RequestContext }> {
  const body = await call.body();
  const dryRun = isObject(body) ? body.dryRun : undefined;
  const dry = Array.isArray(dryRun) && dryRun.includes('All');
  return {
    options: optionsOf(call.url.searchParams, isObject(body) ? body : {}),
    context: dry ? { ...call.context, dryRun: true } : call.context,
  };
}

function optionsOf(query: URLSearchParams, body: Readonly<Record<string, unknown>>): DeleteOptions {
  const policy = query.get('propagationPolicy') ?? asString(body.propagationPolicy);
  const grace = query.get('gracePeriodSeconds') ?? body.gracePeriodSeconds;
  if (policy !== '' && policy !== 'Foreground' && policy !== 'Background' && policy !== 'Orphan')
    throw badRequest(`invalid propagationPolicy ${JSON.stringify(policy)}: must be Foreground, Background or Orphan`);
  const { uid, resourceVersion } = asObject(body.preconditions);
  return {
    ...NO_DELETE_OPTIONS,
    gracePeriodSeconds: grace === null || grace === undefined ? undefined : Number(grace),
    propagation: policy !== '' ? policy : body.orphanDependents === true ? 'Orphan' : undefined,
    uid: typeof uid === 'string' ? uid : undefined,
    resourceVersion: typeof resourceVersion === 'string' ? resourceVersion : undefined,
  };
}
