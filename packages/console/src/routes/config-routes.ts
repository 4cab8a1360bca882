import type { CheckResult, ConfigDetail, ConfigList } from '../api.ts';
import {
  applyObject,
  checkText,
  configDetail,
  deleteObject,
  kindOf,
  kindsOf,
  listConfig,
  putObject,
} from '../config/service.ts';
import { optionalText, readJson, textField } from '../http/body.ts';
import { ApiFailure } from '../http/failure.ts';
import { list, nameParam, namespacesParam } from '../http/query.ts';
import type { Call, Route } from '../http/router.ts';
import type { Caller } from '../session/caller.ts';
import type { Services } from '../services.ts';

const nameOf = ({ params }: Call) => ({
  kind: kindOf(params.kind ?? ''),
  namespace: nameParam(params, 'namespace'),
  name: nameParam(params, 'name'),
});

export function configRoutes(services: Services): readonly Route[] {
  const { settings } = services;
  const rootNamespace = settings.istioNamespace;

  /** Whether changes go on to the API server, which knows what the caller may do. Raises ApiFailure 403. */
  const writer = (caller: Caller): void => {
    if (settings.readOnly) throw new ApiFailure(403, 'this console shows only: it was started with --read-only');
    if (caller.user === undefined)
      throw new ApiFailure(
        403,
        'without a token this console shows only: sign in with a token of Kubernetes to change something',
      );
  };
  /** What an object has become. */
  const changed = (caller: Caller, name: ReturnType<typeof nameOf>): Promise<ConfigDetail> => {
    services.analystOf(caller).changed();
    return configDetail(caller, services.analystOf(caller), name, rootNamespace);
  };
  return [
    {
      method: 'GET',
      path: '/api/config',
      handle: async ({ caller, query }): Promise<ConfigList> => {
        const kinds = kindsOf(list(query, 'kinds'));
        const namespaces = await caller.mesh.namespaces(namespacesParam(query));
        const [state, analysis] = await Promise.all([caller.mesh.state(), services.analystOf(caller).stored()]);
        return listConfig(state, analysis, namespaces, kinds);
      },
    },
    {
      method: 'GET',
      path: '/api/config/:kind/:namespace/:name',
      handle: (call) => configDetail(call.caller, services.analystOf(call.caller), nameOf(call), rootNamespace),
    },
    {
      method: 'POST',
      path: '/api/config/check',
      // It changes nothing, but it is work: other sites' pages have no business with it.
      changes: true,
      handle: async ({ caller, request, query }): Promise<CheckResult> => {
        const body = await readJson(request);
        return checkText(services.analystOf(caller), textField(body, 'yaml'), namespacesParam(query)[0] ?? '');
      },
    },
    {
      method: 'POST',
      path: '/api/config',
      changes: true,
      handle: async ({ caller, request }) => {
        writer(caller);
        const body = await readJson(request);
        const name = await applyObject(caller, textField(body, 'yaml'), optionalText(body, 'resourceVersion'));
        services.log(`${caller.user} applied ${name.kind} ${name.namespace}/${name.name}`);
        return changed(caller, { ...name, kind: kindOf(name.kind) });
      },
    },
    {
      method: 'PUT',
      path: '/api/config/:kind/:namespace/:name',
      changes: true,
      handle: async (call) => {
        const { caller, request } = call;
        writer(caller);
        const name = nameOf(call);
        const body = await readJson(request);
        await putObject(caller, name, textField(body, 'yaml'), optionalText(body, 'resourceVersion'));
        services.log(`${caller.user} changed ${name.kind} ${name.namespace}/${name.name}`);
        return changed(caller, name);
      },
    },
    {
      method: 'DELETE',
      path: '/api/config/:kind/:namespace/:name',
      changes: true,
      handle: async (call) => {
        const { caller } = call;
        writer(caller);
        const name = nameOf(call);
        await deleteObject(caller, name);
        services.analystOf(caller).changed();
        services.log(`${caller.user} deleted ${name.kind} ${name.namespace}/${name.name}`);
        return {};
      },
    },
  ];
}
