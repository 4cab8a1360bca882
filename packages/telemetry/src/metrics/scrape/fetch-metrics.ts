import { readFileSync } from 'node:fs';
import { type Agent as HttpAgent, request as httpRequest, type IncomingMessage, type RequestOptions } from 'node:http';
import { type Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { createBrotliDecompress, createGunzip, createInflate } from 'node:zlib';
import type { ScrapeAccess } from './config.ts';

/** A scrape that brought no metrics; the message is for people. */
export class ScrapeError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'ScrapeError';
  }
}

export interface FetchedMetrics {
  readonly text: string;
  readonly openMetrics: boolean;
}

export interface Agents {
  readonly http: HttpAgent;
  readonly https: HttpsAgent;
}

const accept = 'application/openmetrics-text;version=1.0.0;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1';

function authorizationOf({ authorization, basic }: ScrapeAccess): string | undefined {
  if (authorization) {
    const { type, credentials, file } = authorization;
    return `${type} ${file === undefined ? (credentials ?? '') : readFileSync(file, 'utf8').trim()}`;
  }
  if (!basic) return undefined;
  const password = basic.file === undefined ? basic.password : readFileSync(basic.file, 'utf8').trim();
  return `Basic ${Buffer.from(`${basic.username}:${password}`).toString('base64')}`;
}

function tlsOptions({ tls }: ScrapeAccess): Record<string, unknown> {
  const file = (path: string | undefined): Buffer | undefined => (path === undefined ? undefined : readFileSync(path));
  return {
    ca: file(tls.caFile),
    cert: file(tls.certFile),
    key: file(tls.keyFile),
    ...(tls.serverName !== undefined && { servername: tls.serverName }),
    rejectUnauthorized: !tls.insecureSkipVerify,
  };
}

/** Gets what an endpoint exposes. Raises ScrapeError. `timeout` in milliseconds, `limit` in bytes. */
export function fetchMetrics(
  url: string,
  options: { readonly access: ScrapeAccess; readonly timeout: number; readonly limit: number; readonly agents: Agents },
): Promise<FetchedMetrics> {
  const { promise, resolve, reject } = Promise.withResolvers<FetchedMetrics>();
  const fail = (message: string): void => reject(new ScrapeError(message));
  try {
    const secure = url.startsWith('https:');
    const authorization = authorizationOf(options.access);
    const settings: RequestOptions = {
      agent: secure ? options.agents.https : options.agents.http,
      headers: {
        accept,
        'accept-encoding': 'gzip',
        'user-agent': 'istio-ts-metrics-store',
        'x-prometheus-scrape-timeout-seconds': String(options.timeout / 1000),
        ...(authorization !== undefined && { authorization }),
      },
    };
    const answered = (response: IncomingMessage): void => {
      const { statusCode = 0, headers } = response;
      if (statusCode !== 200) {
        response.resume();
        fail(`server returned HTTP status ${statusCode}`);
        return;
      }
      const encoding = headers['content-encoding'];
      const body =
        encoding === 'gzip'
          ? response.pipe(createGunzip())
          : encoding === 'deflate'
            ? response.pipe(createInflate())
            : encoding === 'br'
              ? response.pipe(createBrotliDecompress())
              : response;
      const parts: Buffer[] = [];
      let length = 0;
      body.on('data', (part: Buffer) => {
        length += part.length;
        if (length > options.limit) {
          fail(`body size limit of ${options.limit} bytes exceeded`);
          request.destroy();
          return;
        }
        parts.push(part);
      });
      body.on('error', (error) => fail(error.message));
      body.on('end', () =>
        resolve({
          text: Buffer.concat(parts).toString('utf8'),
          openMetrics: headers['content-type']?.startsWith('application/openmetrics-text') === true,
        }),
      );
      response.on('error', (error) => fail(error.message));
      response.on('aborted', () => fail('the connection ended within the answer'));
    };
    const request = secure
      ? httpsRequest(url, { ...settings, ...tlsOptions(options.access) }, answered)
      : httpRequest(url, settings, answered);
    const timer = setTimeout(() => {
      fail('context deadline exceeded: no complete answer in time');
      request.destroy();
    }, options.timeout);
    request.on('error', (error: NodeJS.ErrnoException) => fail(error.message || error.code || 'the request failed'));
    request.on('close', () => clearTimeout(timer));
    request.end();
  } catch (error) {
    fail(error instanceof Error ? error.message : String(error));
  }
  return promise;
}
