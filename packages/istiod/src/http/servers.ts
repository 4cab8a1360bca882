import type { SecureContextOptions } from 'node:tls';
import type { MetricsRegistry } from '@istio-ts/metrics';
import { formatSpiffe, type TokenReviewResult } from '@istio-ts/security';
import type { DebugCaller } from '../ads/debug-stream.ts';
import type { Logger } from '../log.ts';
import type { RunDebug } from './debug.ts';
import { nestsDeeper } from './json-depth.ts';
import {
  createHttpServer,
  type HttpHandler,
  type HttpRequest,
  type HttpResponse,
  type HttpRoutes,
  type HttpServer,
  jsonResponse,
} from './server.ts';

/** An AdmissionReview is at most a Kubernetes object and its predecessor. */
const MAX_REVIEW_BYTES = 6 * 1024 * 1024;
/** Levels of objects and lists in a review; EnvoyFilters are the deepest that people write, with some dozens. */
const MAX_REVIEW_DEPTH = 500;

export interface HttpServersOptions {
  /** Why istiod cannot serve yet; undefined when it can. */
  readonly notReady: () => string | undefined;
  readonly runDebug: RunDebug;
  readonly metrics: MetricsRegistry;
  /** What `/version` says. */
  readonly version: string;
  readonly trustDomain: string;
  /** For debug requests from elsewhere than this machine, with `authorization: Bearer`. */
  readonly authenticateToken?: (token: string) => Promise<TokenReviewResult>;
  readonly webhookTls: SecureContextOptions;
  /** Answer an AdmissionReview (JSON in and out). `path` is the URL's: `/inject/cluster/c/net/n` carries values. */
  readonly inject: (review: unknown, path: string) => Promise<unknown> | unknown;
  readonly validate: (review: unknown) => Promise<unknown> | unknown;
  readonly log: Logger;
}

/** The HTTP servers of istiod by their ports: 8080, 15014 and 15017. */
export interface HttpServers {
  /** `/ready` and `/debug/*`. */
  readonly debug: HttpServer;
  /** `/metrics`, `/version` and, as Kiali asks there, `/debug/*`. */
  readonly monitoring: HttpServer;
  /** `/inject`, `/validate` and `/ready` over TLS. */
  readonly webhooks: HttpServer;
}

export function createHttpServers(options: HttpServersOptions): HttpServers {
  const { log } = options;
  const ready: HttpHandler = () => {
    const reason = options.notReady();
    return reason === undefined ? { status: 200, body: '' } : { status: 503, body: `${reason}\n` };
  };
  const debugRoutes: HttpRoutes = {
    '/ready': ready,
    '/debug': debugHandler(options),
    '/debug/': debugHandler(options),
  };
  const version: HttpHandler = () => ({ status: 200, body: options.version });
  const metrics: HttpHandler = () => ({
    status: 200,
    headers: { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' },
    body: options.metrics.text(),
  });
  const inject = reviewHandler((review, path) => options.inject(review, path), log);
  const validate = reviewHandler((review) => options.validate(review), log);
  return {
    debug: createHttpServer({ routes: debugRoutes, maxBodyBytes: 64 * 1024, log }),
    monitoring: createHttpServer({
      routes: { ...debugRoutes, '/metrics': metrics, '/version': version },
      maxBodyBytes: 64 * 1024,
      log,
    }),
    webhooks: createHttpServer({
      routes: { '/inject': inject, '/inject/': inject, '/validate': validate, '/validate/': validate, '/ready': ready },
      tls: options.webhookTls,
      maxBodyBytes: MAX_REVIEW_BYTES,
      log,
    }),
  };
}

function reviewHandler(
  handle: (review: unknown, path: string) => Promise<unknown> | unknown,
  log: Logger,
): HttpHandler {
  return async (request) => {
    if (request.method !== 'POST') return { status: 405, body: 'POST an AdmissionReview\n' };
    if (!(request.headers['content-type'] ?? '').startsWith('application/json'))
      return { status: 415, body: 'the content type must be application/json\n' };
    if (nestsDeeper(request.body, MAX_REVIEW_DEPTH)) {
      log.warn(`${request.path}: the body is nested deeper than ${MAX_REVIEW_DEPTH} levels`);
      return { status: 400, body: `the body is nested deeper than ${MAX_REVIEW_DEPTH} levels\n` };
    }
    let review: unknown;
    try {
      review = JSON.parse(request.body.toString('utf8'));
    } catch (error) {
      log.warn(`${request.path}: the body is no JSON: ${error instanceof Error ? error.message : error}`);
      return { status: 400, body: 'the body is no JSON\n' };
    }
    return jsonResponse(await handle(review, request.path));
  };
}

function debugHandler(options: HttpServersOptions): HttpHandler {
  return async (request): Promise<HttpResponse> => {
    const caller = await identify(request, options);
    const name = request.path.replace(/^\/debug\/?/, '');
    const answer = options.runDebug(name, request.query, caller);
    switch (answer.kind) {
      case 'json':
        return jsonResponse(answer.value);
      case 'text':
        return { status: 200, body: answer.text };
      case 'error':
        return { status: answer.status, body: `${answer.message}\n` };
    }
  };
}

async function identify(request: HttpRequest, options: HttpServersOptions): Promise<DebugCaller> {
  const address = request.remoteAddress.replace(/^::ffff:/, '');
  const isLocal = address === '::1' || address.startsWith('127.');
  const token = /^Bearer (\S+)$/i.exec(request.headers.authorization ?? '')?.[1];
  if (isLocal || token === undefined || options.authenticateToken === undefined) return { identities: [], isLocal };
  const result = await options.authenticateToken(token);
  if (!result.authenticated) return { identities: [], isLocal };
  const { namespace, serviceAccount } = result;
  return { identities: [formatSpiffe({ trustDomain: options.trustDomain, namespace, serviceAccount })], isLocal };
}
