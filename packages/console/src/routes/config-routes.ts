import type { CheckResult, ConfigDetail, ConfigList, Rights } from '../api.ts';
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
import {
  isNamespaced,
  leadsToIstiod,
  type MeshesOwnKind,
  meshesOwnKinds,
  shownKindOf,
  typesOf,
} from '../config/shown-kinds.ts';
import { optionalText, readJson, textField } from '../http/body.ts';
import { ApiFailure } from '../http/failure.ts';
import { isName, list, namespacesParam, objectParams, ofCluster } from '../http/query.ts';
import type { Call, Route } from '../http/router.ts';
import type { Caller } from '../session/caller.ts';
import { missingRights, type Verb, verbs } from '../session/rights.ts';
import type { Listed } from '../sources/cluster-reader.ts';
import type { Services } from '../services.ts';

/** An object that can be changed. */
const nameOf = ({ params }: Call) => {
  const kind = kindOf(params.kind ?? '');
  return { kind, ...objectParams(params, isNamespaced(kind)) };
};

/** An object that can be looked at. */
const shownNameOf = ({ params }: Call) => {
  const kind = shownKindOf(params.kind ?? '');
  return { kind, ...objectParams(params, isNamespaced(kind)) };
};

/** `namespaces=a,-`: `''` stands for the cluster. Without the parameter: all that the caller sees, and the cluster. */
async function placesOf({ caller, query }: Call): Promise<readonly string[]> {
  const asked = list(query, 'namespaces');
  const named = asked.filter((name) => name !== ofCluster);
  const cluster = asked.length === 0 || named.length < asked.length ? [''] : [];
  if (asked.length > 0 && named.length === 0) return cluster;
  const names = namespacesParam(new URLSearchParams({ namespaces: named.join(',') }));
  return [...cluster, ...(await caller.mesh.namespaces(names))];
}

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
      handle: async (call): Promise<ConfigList> => {
        const { caller, query } = call;
        const kinds = kindsOf(list(query, 'kinds'));
        const namespaces = await placesOf(call);
        const [state, analysis, meshesOwn] = await Promise.all([
          caller.mesh.state(),
          services.analystOf(caller).stored(),
          namespaces.includes('') ? meshesOwnObjects(caller, rootNamespace) : new Map(),
        ]);
        return listConfig(state, analysis, { namespaces, kinds, meshesOwn });
      },
    },
    { method: 'GET', path: '/api/rights', handle: (call) => rights(call, settings.readOnly) },
    {
      method: 'GET',
      path: '/api/config/:kind/:namespace/:name',
      handle: (call) => configDetail(call.caller, services.analystOf(call.caller), shownNameOf(call), rootNamespace),
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

/** What istiod has written for the whole cluster. */
async function meshesOwnObjects({ mesh }: Caller, istioNamespace: string): Promise<ReadonlyMap<MeshesOwnKind, Listed>> {
  const lists = await Promise.all(
    meshesOwnKinds.map(async (kind) => {
      const listed = await mesh.cluster.list(kind);
      const items = listed.items.filter((object) => leadsToIstiod(object, istioNamespace));
      return [kind, { ...listed, items }] as const;
    }),
  );
  return new Map(lists);
}

const maxKindsAsked = 20;
const writing: ReadonlySet<Verb> = new Set(['create', 'update', 'patch', 'delete']);

/** What the caller may not do with objects of some kinds, by the API server's word; what the console itself does not let through is missing too. */
async function rights({ caller, query }: Call, readOnly: boolean): Promise<Rights> {
  const names = list(query, 'kinds');
  if (names.length === 0 || names.length > maxKindsAsked)
    throw new ApiFailure(400, `kinds must be one to ${maxKindsAsked} kinds`, { field: 'kinds' });
  const types = names.map(shownKindOf).flatMap((kind) => typesOf(kind).slice(0, 1));
  const asked = list(query, 'verbs').map((name) => {
    const verb = verbs.find((each) => each === name);
    if (!verb)
      throw new ApiFailure(400, `"${name.slice(0, 40)}" is no verb: use ${verbs.join(', ')}`, { field: 'verbs' });
    return verb;
  });
  if (asked.length === 0) throw new ApiFailure(400, 'verbs is missing: for example list,create', { field: 'verbs' });
  const given = query.get('namespace') ?? '';
  if (given !== '' && given !== ofCluster && !isName(given))
    throw new ApiFailure(400, 'namespace is not a name of Kubernetes', { field: 'namespace' });
  const namespace = given === ofCluster ? '' : given;
  const missing = await missingRights(caller.client, types, [...new Set(asked)], namespace);
  if (!readOnly && caller.user !== undefined) return { missing };
  // The console's own rights are nobody's to write with.
  const known = new Set(missing.map(({ verb, group, resource }) => `${verb} ${group} ${resource}`));
  const more = types.flatMap((type) =>
    asked
      .filter((verb) => writing.has(verb) && !known.has(`${verb} ${type.group} ${type.resource}`))
      .map((verb) => ({
        verb,
        group: type.group,
        resource: type.resource,
        namespace: type.namespaced ? namespace : '',
        message: readOnly
          ? 'This console shows only: it was started with --read-only'
          : 'Without a token this console shows only: sign in with a token of Kubernetes to change something',
      })),
  );
  return { missing: [...missing, ...more] };
}
