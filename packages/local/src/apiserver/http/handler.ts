import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Authorizer } from '../auth/rbac.ts';
import { refusal } from '../auth/rbac.ts';
import type { TokenAuthority } from '../auth/tokens.ts';
import type { User } from '../auth/user.ts';
import { storageKey } from '../definitions.ts';
import { subresourcesOf } from '../discovery/discovery.ts';
import { VERSION_INFO } from '../discovery/version.ts';
import { clone, type JsonObject } from '../json.ts';
import type { ApiObject } from '../object.ts';
import { acceptObject } from '../operations/accept-object.ts';
import { requireNamespace } from '../operations/namespace-lifecycle.ts';
import type { RequestContext, Target } from '../operations/context.ts';
import type { Operations } from '../operations/operations.ts';
import { ApiError, badRequest, forbidden, methodNotAllowed, pathNotFound } from '../status.ts';
import { presenterFor, presentList } from '../tables/present.ts';
import { decodeBody, readBody } from './body.ts';
import { deletionOf } from './deletion.ts';
import { Documents } from './documents.ts';
import { list, selectionOf, selects } from './list.ts';
import { patchKind, patchObject } from './patch.ts';
import { negotiate } from './representation.ts';
import { parsePath, type RequestInfo, urlOf } from './request-info.ts';
import { addWarnings, sendError, sendJson, sendText } from './respond.ts';
import { watch } from './watch.ts';

/** A subresource or review that is more than reading and writing objects. */
export type SpecialHandler = (call: Call) => Promise<void>;

/** One request on its way. */
export interface Call {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly url: URL;
  readonly info: RequestInfo;
  readonly target: Target;
  readonly context: RequestContext;
  readonly body: () => Promise<unknown>;
}

export interface HandlerOptions {
  readonly operations: Operations;
  readonly authorizer: Authorizer;
  readonly tokens: TokenAuthority;
  /** By `<storage key>/<subresource>` for subresources, by `<group>/<resource>` for reviews. */
  readonly special: ReadonlyMap<string, SpecialHandler>;
  readonly log: (line: string) => void;
}

const MAX_WATCHES = 5000;
const PUBLIC_PATHS = new Set(['/healthz', '/livez', '/readyz', '/version', '/version/']);

/** Answers the requests of one API server. */
export class Handler {
  readonly #options: HandlerOptions;
  readonly #documents: Documents;
  #watches = 0;

  constructor(options: HandlerOptions) {
    this.#options = options;
    this.#documents = new Documents(options.operations, options.tokens, Date.now().toString(36), () => this.#watches);
  }

  async handle(request: IncomingMessage, response: ServerResponse, user: User): Promise<void> {
    try {
      const url = urlOf(request.url);
      if (PUBLIC_PATHS.has(url.pathname) || /^\/(livez|readyz|healthz)\//.test(url.pathname)) {
        this.#public(request, response, url);
        return;
      }
      const info = parsePath(url.pathname);
      if (info === undefined) {
        this.#authorizePath(user, request, url.pathname);
        this.#documents.answer(request, response, url);
        return;
      }
      await this.#resource(request, response, url, info, user);
    } catch (error) {
      if (!(error instanceof ApiError)) {
        this.#options.log(
          `${request.method ?? ''} ${request.url?.split('?')[0] ?? ''}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
        );
      }
      sendError(request, response, error);
    }
  }

  #public(request: IncomingMessage, response: ServerResponse, url: URL): void {
    if (url.pathname.startsWith('/version')) sendJson(request, response, 200, VERSION_INFO);
    else if (url.searchParams.has('verbose'))
      sendText(response, 200, `[+]ping ok\n[+]store ok\n${url.pathname.split('/')[1]} check passed\n`);
    else sendText(response, 200, 'ok');
  }

  #authorizePath(user: User, request: IncomingMessage, path: string): void {
    const verb = (request.method ?? 'GET').toLowerCase();
    const attributes = { verb, group: '', resource: '', namespace: '', name: '', path };
    if (this.#options.authorizer.check(user, attributes).allowed) return;
    if (user.name === 'system:anonymous') throw new ApiError(401, 'Unauthorized', 'Unauthorized');
    throw new ApiError(403, 'Forbidden', `forbidden: ${refusal(user, attributes)}`);
  }

  async #resource(
    request: IncomingMessage,
    response: ServerResponse,
    url: URL,
    info: RequestInfo,
    user: User,
  ): Promise<void> {
    const { operations, authorizer, special } = this.#options;
    const served = operations.registry.find(info.group, info.version, info.resource);
    const verb = verbOf(request.method ?? 'GET', info, url.searchParams);
    const attributes = {
      verb,
      group: info.group,
      resource: info.subresource === '' ? info.resource : `${info.resource}/${info.subresource}`,
      namespace: info.namespace,
      name: info.name,
      path: '',
    };
    if (!authorizer.check(user, attributes).allowed) {
      if (user.name === 'system:anonymous') throw new ApiError(401, 'Unauthorized', 'Unauthorized');
      throw forbidden({ group: info.group, resource: info.resource }, info.name, refusal(user, attributes));
    }
    if (served === undefined) throw pathNotFound();
    const { definition } = served;
    if (info.namespace !== '' && !definition.namespaced) throw pathNotFound();
    const target: Target = {
      ...served,
      namespace: definition.namespaced ? info.namespace : '',
      name: info.name,
      subresource: info.subresource,
    };
    const context = contextOf(request, url.searchParams, user);
    const call: Call = {
      request,
      response,
      url,
      info,
      target,
      context,
      body: async () =>
        decodeBody(await readBody(request), String(request.headers['content-type'] ?? 'application/json')),
    };
    const key = definition.virtual
      ? `${definition.group}/${definition.resource}`
      : `${storageKey(definition)}/${info.subresource}`;
    const specialHandler =
      definition.virtual || info.subresource !== ''
        ? (special.get(key) ?? special.get(`*/${info.subresource}`))
        : undefined;
    if (definition.virtual) {
      if (request.method !== 'POST') throw methodNotAllowed();
      if (specialHandler === undefined) throw pathNotFound();
      await specialHandler(call);
      return;
    }
    if (info.subresource !== '') {
      if (!subresourcesOf(definition, info.version).includes(info.subresource)) throw pathNotFound();
      if (specialHandler !== undefined) {
        await specialHandler(call);
        return;
      }
    }
    if (definition.custom?.get(info.version)?.deprecationWarning !== undefined) {
      context.warnings.push(definition.custom.get(info.version)?.deprecationWarning ?? '');
    }
    await this.#verb(call, verb);
  }

  async #verb(call: Call, verb: string): Promise<void> {
    const { operations } = this.#options;
    const { target, context, response, request, url } = call;
    const query = url.searchParams;
    switch (verb) {
      case 'get': {
        const object = operations.get(target);
        this.#sendObject(call, 200, object);
        return;
      }
      case 'list': {
        const result = list(operations, target, selectionOf(target, query), query);
        const representation = negotiate(request.headers.accept);
        sendJson(request, response, 200, presentList(representation, target, result, query, operations.now()));
        return;
      }
      case 'watch':
        this.#watch(call);
        return;
      case 'create': {
        if (target.name !== '') throw methodNotAllowed();
        const object = acceptObject(target, await call.body());
        requireNamespace(operations.store, target, object.metadata.name ?? '');
        if (target.definition.namespaced && target.namespace === '')
          throw badRequest('the namespace is missing in the path');
        this.#sendObject(call, 201, await operations.create(target, object, context));
        return;
      }
      case 'update': {
        const object = acceptObject(target, await call.body());
        this.#sendObject(call, 200, await operations.update(target, () => clone(object), context));
        return;
      }
      case 'patch': {
        const type = String(request.headers['content-type'] ?? '');
        const kind = patchKind(type, target.definition.custom !== undefined);
        const body = await call.body();
        const result = await patchObject(operations, target, kind, body, context);
        this.#sendObject(call, result.created ? 201 : 200, result.object);
        return;
      }
      case 'delete':
        await this.#delete(call);
        return;
      case 'deletecollection':
        await this.#deleteCollection(call);
        return;
      default:
        throw methodNotAllowed();
    }
  }

  #sendObject(call: Call, code: number, object: ApiObject): void {
    const { request, response, target, url, context } = call;
    addWarnings(response, context.warnings);
    const present = presenterFor(
      negotiate(request.headers.accept),
      target,
      url.searchParams,
      this.#options.operations.now(),
    );
    sendJson(request, response, code, present(object, true));
  }

  #watch(call: Call): void {
    const { operations } = this.#options;
    const { request, response, target, url } = call;
    if (this.#watches >= MAX_WATCHES)
      throw new ApiError(429, 'TooManyRequests', `more than ${MAX_WATCHES} watches are open`, { retryAfterSeconds: 1 });
    this.#watches += 1;
    let counted = true;
    const release = () => {
      if (counted) this.#watches -= 1;
      counted = false;
    };
    try {
      const present = presenterFor(negotiate(request.headers.accept), target, url.searchParams, operations.now());
      watch(
        operations,
        { target, selection: selectionOf(target, url.searchParams), query: url.searchParams, present },
        response,
        release,
      );
    } catch (error) {
      release();
      throw error;
    }
  }

  async #delete(call: Call): Promise<void> {
    const { target, request, response } = call;
    const { options, context } = await deletionOf(call);
    const { object, removed } = await this.#options.operations.delete(target, options, context);
    addWarnings(response, context.warnings);
    if (!removed || target.definition.kind === 'Pod') {
      this.#sendObject(call, 200, object);
      return;
    }
    sendJson(request, response, 200, {
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Success',
      details: {
        name: object.metadata.name,
        ...(target.definition.group === '' ? {} : { group: target.definition.group }),
        kind: target.definition.resource,
        uid: object.metadata.uid,
      },
    });
  }

  async #deleteCollection(call: Call): Promise<void> {
    const { operations } = this.#options;
    const { target, url, request, response } = call;
    const { options, context } = await deletionOf(call);
    const selection = selectionOf(target, url.searchParams);
    const doomed = operations.store
      .list(storageKey(target.definition), selection.namespace)
      .filter((object) => selects(selection, object));
    const items: JsonObject[] = [];
    for (const object of doomed) {
      const one: Target = { ...target, namespace: object.metadata.namespace ?? '', name: object.metadata.name };
      try {
        items.push((await operations.delete(one, options, context)).object);
      } catch (error) {
        if (!(error instanceof ApiError) || error.code !== 404) throw error;
      }
    }
    const { definition, version } = target;
    const apiVersion = definition.group === '' ? version : `${definition.group}/${version}`;
    const metadata = { resourceVersion: String(operations.store.revision) };
    sendJson(request, response, 200, { kind: definition.listKind, apiVersion, metadata, items });
  }
}

export function verbOf(method: string, info: RequestInfo, query: URLSearchParams): string {
  switch (method) {
    case 'GET':
    case 'HEAD': {
      const watching = query.get('watch');
      if (watching === 'true' || watching === '1') return 'watch';
      return info.name === '' ? 'list' : 'get';
    }
    case 'POST':
      return 'create';
    case 'PUT':
      return 'update';
    case 'PATCH':
      return 'patch';
    case 'DELETE':
      return info.name === '' ? 'deletecollection' : 'delete';
    default:
      throw methodNotAllowed();
  }
}

export function contextOf(request: IncomingMessage, query: URLSearchParams, user: User): RequestContext {
  const dryRun = query.getAll('dryRun');
  if (dryRun.some((value) => value !== 'All' && value !== '')) {
    throw badRequest(`Invalid value: ${JSON.stringify(dryRun)}: supported values: "All"`);
  }
  const validation = query.get('fieldValidation') ?? 'Warn';
  if (validation !== 'Ignore' && validation !== 'Warn' && validation !== 'Strict') {
    throw badRequest(
      `fieldValidation: Unsupported value: ${JSON.stringify(validation)}: supported values: "Ignore", "Warn", "Strict"`,
    );
  }
  const manager = query.get('fieldManager') ?? '';
  const apply = String(request.headers['content-type'] ?? '').startsWith('application/apply-patch+yaml');
  const agent = String(request.headers['user-agent'] ?? '').split('/')[0] ?? '';
  return {
    user,
    dryRun: dryRun.includes('All'),
    fieldManager: manager !== '' || apply ? manager.slice(0, 128) : (agent === '' ? 'unknown' : agent).slice(0, 128),
    fieldValidation: validation,
    force: query.get('force') === 'true',
    warnings: [],
  };
}
