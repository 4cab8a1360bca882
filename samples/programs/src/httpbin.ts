import type { IncomingMessage, ServerResponse } from 'node:http';
import { gzipSync } from 'node:zlib';

const maxBodyBytes = 1024 * 1024;
const maxDelayMs = 10_000;

/** A header's name as people write it, for example `X-Forwarded-For`. */
function titled(header: string): string {
  return header.replace(/(^|-)([a-z])/g, (_match, dash: string, letter: string) => dash + letter.toUpperCase());
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > maxBodyBytes) throw new RangeError(`a body may have ${maxBodyBytes} bytes at most`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

const json = (response: ServerResponse, value: unknown, status = 200) => {
  const text = `${JSON.stringify(value, null, 2)}\n`;
  response
    .writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) })
    .end(text);
};

function parsedJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** Answers the paths of httpbin that the tutorials use: what was sent, statuses, delays, headers, redirects, bytes. */
export async function httpbin(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const url = new URL(request.url ?? '/', `http://${request.headers.host ?? 'httpbin'}`);
  const headers = Object.fromEntries(
    Object.entries(request.headers).map(([name, value]) => [
      titled(name),
      Array.isArray(value) ? value.join(',') : value,
    ]),
  );
  const args = Object.fromEntries(
    [...new Set(url.searchParams.keys())].map((key) => {
      const values = url.searchParams.getAll(key);
      return [key, values.length === 1 ? values[0] : values];
    }),
  );
  const origin = headers['X-Forwarded-For'] ?? request.socket.remoteAddress ?? '';
  const common = { args, headers, origin, url: url.href };
  const [, first = '', second = ''] = url.pathname.split('/');
  const number = Number(second);
  switch (first) {
    case '':
      return void response
        .writeHead(200, { 'content-type': 'text/html' })
        .end('<!doctype html><title>httpbin</title><h1>httpbin</h1><p>Try /get, /headers, /status/418, /delay/2.</p>');
    case 'html':
      return void response
        .writeHead(200, { 'content-type': 'text/html; charset=utf-8' })
        .end(
          '<!doctype html>\n<html lang="en">\n<head><title>A page</title></head>\n<body>\n<h1>A page of httpbin</h1>\n<p>It is here to be fetched.</p>\n</body>\n</html>\n',
        );
    case 'get':
      return json(response, common);
    case 'post':
    case 'put':
    case 'patch':
    case 'delete':
    case 'anything': {
      const text = (await bodyOf(request)).toString('utf8');
      const isForm = (request.headers['content-type'] ?? '').startsWith('application/x-www-form-urlencoded');
      return json(response, {
        ...common,
        data: isForm ? '' : text,
        form: isForm ? Object.fromEntries(new URLSearchParams(text)) : {},
        files: {},
        json: parsedJson(text),
        ...(first === 'anything' ? { method: request.method } : {}),
      });
    }
    case 'headers':
      return json(response, { headers });
    case 'ip':
      return json(response, { origin });
    case 'user-agent':
      return json(response, { 'user-agent': request.headers['user-agent'] ?? null });
    case 'uuid':
      return json(response, { uuid: crypto.randomUUID() });
    case 'status':
      if (!Number.isInteger(number) || number < 100 || number > 599)
        return json(response, { error: `'${second}' is not an HTTP status` }, 400);
      return void response.writeHead(number).end(number === 418 ? "I'm a teapot!\n" : undefined);
    case 'delay':
      return void setTimeout(
        () => json(response, common),
        Math.min((Number.parseFloat(second) || 0) * 1000, maxDelayMs),
      );
    case 'response-headers':
      for (const [name, value] of url.searchParams) response.appendHeader(name, value);
      return json(response, args);
    case 'redirect':
    case 'relative-redirect':
    case 'absolute-redirect':
      return void response.writeHead(302, { location: number > 1 ? `/redirect/${number - 1}` : '/get' }).end();
    case 'redirect-to':
      return void response
        .writeHead(Number(url.searchParams.get('status_code')) || 302, { location: url.searchParams.get('url') ?? '/' })
        .end();
    case 'bytes':
      return void response
        .writeHead(200, { 'content-type': 'application/octet-stream' })
        .end(Buffer.alloc(Math.min(number || 0, maxBodyBytes), 0x2a));
    case 'stream':
      response.writeHead(200, { 'content-type': 'application/json' });
      for (let id = 0; id < Math.min(number || 1, 100); id++) response.write(`${JSON.stringify({ id, ...common })}\n`);
      return void response.end();
    case 'gzip':
      return void response
        .writeHead(200, { 'content-type': 'application/json', 'content-encoding': 'gzip' })
        .end(gzipSync(JSON.stringify({ gzipped: true, headers, origin })));
    case 'cookies': {
      const cookies = Object.fromEntries(
        (request.headers.cookie ?? '')
          .split(';')
          .filter(Boolean)
          .map((pair) => pair.trim().split('=') as [string, string]),
      );
      return json(response, { cookies });
    }
    case 'basic-auth': {
      const wanted = `Basic ${Buffer.from(`${second}:${url.pathname.split('/')[3] ?? ''}`).toString('base64')}`;
      if (request.headers.authorization === wanted) return json(response, { authenticated: true, user: second });
      return void response.writeHead(401, { 'www-authenticate': 'Basic realm="Fake Realm"' }).end();
    }
    default:
      return json(response, { error: `there is no path ${url.pathname}` }, 404);
  }
}
