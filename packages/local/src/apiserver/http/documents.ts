import type { IncomingMessage, ServerResponse } from 'node:http';
import type { TokenAuthority } from '../auth/tokens.ts';
import { aggregated, groupList, groupObject, groupVersions, resourceList } from '../discovery/discovery.ts';
import { openApiIndex, openApiV2, openApiV3 } from '../discovery/openapi.ts';
import { OPENAPI_V2_PROTOBUF, openApiV2Protobuf } from '../discovery/openapi-v2-protobuf.ts';
import type { Operations } from '../operations/operations.ts';
import { methodNotAllowed, pathNotFound } from '../status.ts';
import { sendJson, sendText } from './respond.ts';

/** What the API server says of itself: discovery, OpenAPI, the issuer of tokens, metrics. */
export class Documents {
  readonly #operations: Operations;
  readonly #tokens: TokenAuthority;
  readonly #started: string;
  readonly #watches: () => number;
  readonly #texts = new Map<string, { readonly generation: number; readonly text: string }>();

  /** `started` tells the documents of one run of the server from those of another. */
  constructor(operations: Operations, tokens: TokenAuthority, started: string, watches: () => number) {
    this.#operations = operations;
    this.#tokens = tokens;
    this.#started = started;
    this.#watches = watches;
  }

  /** Answers a GET of one of the documents. Raises a 404 or 405 {@link ApiError}. */
  answer(request: IncomingMessage, response: ServerResponse, url: URL): void {
    const operations = this.#operations;
    const tokens = this.#tokens;
    const { registry } = operations;
    const all = registry.all();
    const path = url.pathname.replace(/\/+$/, '');
    if (request.method !== 'GET' && request.method !== 'HEAD') throw methodNotAllowed();
    if (path === '/api' || path === '/apis') {
      const accept = String(request.headers.accept ?? '');
      const match = /g=apidiscovery\.k8s\.io;v=(v2beta1|v2)/.exec(accept);
      if (match !== null && accept.includes('as=APIGroupDiscoveryList')) {
        const version = match[1] ?? 'v2';
        response.setHeader('ETag', `"${this.#started}-${registry.generation}"`);
        response.setHeader('Vary', 'Accept');
        const type = `application/json;g=apidiscovery.k8s.io;v=${version};as=APIGroupDiscoveryList`;
        sendJson(request, response, 200, aggregated(all, path === '/api', version), type);
        return;
      }
      if (path === '/apis') sendJson(request, response, 200, groupList(all));
      else sendJson(request, response, 200, { kind: 'APIVersions', versions: ['v1'], serverAddressByClientCIDRs: [] });
      return;
    }
    const parts = path.split('/').slice(1);
    if (parts[0] === 'apis' && parts.length === 2) {
      const group = groupObject(all, parts[1] ?? '');
      if (group === undefined) throw pathNotFound();
      sendJson(request, response, 200, { kind: 'APIGroup', apiVersion: 'v1', ...group });
      return;
    }
    if ((parts[0] === 'api' && parts.length === 2) || (parts[0] === 'apis' && parts.length === 3)) {
      const group = parts[0] === 'api' ? '' : (parts[1] ?? '');
      const version = parts.at(-1) ?? '';
      if (!groupVersions(all, group).includes(version)) throw pathNotFound();
      sendJson(request, response, 200, resourceList(all, group, version));
      return;
    }
    if (path === '/openapi/v3') {
      sendJson(request, response, 200, openApiIndex(registry, this.#started));
      return;
    }
    if (path.startsWith('/openapi/v3/')) {
      const text = this.#cached(path, () => openApiV3(registry, path.slice('/openapi/v3/'.length)));
      if (text === undefined) throw pathNotFound();
      if (url.searchParams.has('hash')) response.setHeader('Expires', 'Thu, 31 Dec 2099 00:00:00 GMT');
      sendJson(request, response, 200, text);
      return;
    }
    if (path === '/openapi/v2') {
      if (String(request.headers.accept ?? '').includes(OPENAPI_V2_PROTOBUF)) {
        const bytes = openApiV2Protobuf();
        response.writeHead(200, {
          'Content-Type': OPENAPI_V2_PROTOBUF.replace('@', '.'),
          'Content-Length': bytes.length,
        });
        response.end(bytes);
        return;
      }
      sendJson(request, response, 200, this.#cached(path, () => openApiV2(registry)) ?? '{}');
      return;
    }
    if (path === '/.well-known/openid-configuration') sendJson(request, response, 200, tokens.openIdConfiguration());
    else if (path === '/openid/v1/jwks') sendJson(request, response, 200, tokens.jwks(), 'application/jwk-set+json');
    else if (path === '') sendJson(request, response, 200, { paths: this.#paths() });
    else if (path === '/metrics')
      sendText(
        response,
        200,
        `apiserver_storage_objects_total ${operations.store.keys().reduce((sum, key) => sum + operations.store.count(key), 0)}\napiserver_watches ${this.#watches()}\n`,
      );
    else throw pathNotFound();
  }

  #paths(): string[] {
    const all = this.#operations.registry.all();
    const groups = [...new Set(all.map((definition) => definition.group))];
    return [
      '/api',
      '/apis',
      ...groups.flatMap((group) =>
        group === ''
          ? ['/api/v1']
          : [`/apis/${group}`, ...groupVersions(all, group).map((version) => `/apis/${group}/${version}`)],
      ),
      '/healthz',
      '/livez',
      '/metrics',
      '/openapi/v2',
      '/openapi/v3',
      '/readyz',
      '/version',
    ].sort();
  }

  /** Documents are large and asked for rarely: the last few are kept as text. */
  #cached(path: string, make: () => object | undefined): string | undefined {
    const { generation } = this.#operations.registry;
    const known = this.#texts.get(path);
    if (known?.generation === generation) return known.text;
    const made = make();
    if (made === undefined) return undefined;
    const text = JSON.stringify(made);
    if (text.length < 300_000) {
      if (this.#texts.size >= 4) this.#texts.clear();
      this.#texts.set(path, { generation, text });
    }
    return text;
  }
}
