import assert from 'node:assert/strict';
import { once } from 'node:events';
import * as http from 'node:http';
import { type AddressInfo, connect, createServer } from 'node:net';
import { after, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { WebSocketServer } from 'ws';
import {
  createKubeClient,
  KubeApiError,
  type KubeConfig,
  type KubeObject,
  type ResourceType,
  type WatchEvent,
} from './index.ts';

const configMaps: ResourceType = {
  group: '',
  version: 'v1',
  resource: 'configmaps',
  kind: 'ConfigMap',
  namespaced: true,
};

type Handler = (request: http.IncomingMessage, response: http.ServerResponse, body: string) => void;

const servers: http.Server[] = [];
after(() => {
  for (const server of servers) {
    server.closeAllConnections();
    server.close();
  }
});

async function serve(handler: Handler): Promise<{ config: KubeConfig; server: http.Server }> {
  const server = http.createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8').on('data', (chunk) => {
      body += chunk;
    });
    request.on('end', () => handler(request, response, body));
  });
  servers.push(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const config: KubeConfig = {
    contextName: 'test',
    server: `http://127.0.0.1:${port}`,
    namespace: 'default',
    tls: { insecureSkipVerify: false },
    credentials: { kind: 'token', token: 'secret-token' },
  };
  return { config, server };
}

function json(response: http.ServerResponse, body: unknown, status = 200): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

function failure(response: http.ServerResponse, code: number, reason: string, message: string): void {
  json(response, { kind: 'Status', apiVersion: 'v1', status: 'Failure', code, reason, message, details: {} }, code);
}

const object = (name: string, resourceVersion: string, extra: object = {}): object => ({
  metadata: { name, namespace: 'a', uid: `uid-${name}`, resourceVersion, managedFields: [{ manager: 'x' }] },
  ...extra,
});

async function eventually(condition: () => boolean, what: string): Promise<void> {
  const deadline = Date.now() + 120_000;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error(`never happened: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

test('reads, writes and deletes objects with the token, and reports the status of the server', async () => {
  const seen: string[] = [];
  const { config } = await serve((request, response, body) => {
    seen.push(`${request.method} ${request.url} ${request.headers['content-type'] ?? '-'} ${body}`);
    assert.equal(request.headers.authorization, 'Bearer secret-token');
    if (request.url?.endsWith('/missing')) return failure(response, 404, 'NotFound', 'configmaps "missing" not found');
    if (request.method === 'GET' && request.headers['accept-encoding'] === 'gzip') {
      response.writeHead(200, { 'content-type': 'application/json', 'content-encoding': 'gzip' });
      return void response.end(gzipSync(JSON.stringify(object('one', '1'))));
    }
    return json(response, object('one', '2'));
  });
  const client = createKubeClient(config);
  const one = await client.get(configMaps, 'one', 'a');
  assert.equal(one.kind, 'ConfigMap');
  assert.equal(one.apiVersion, 'v1');
  await assert.rejects(client.get(configMaps, 'missing', 'a'), (error: KubeApiError) => {
    assert.ok(error instanceof KubeApiError);
    assert.deepEqual([error.status, error.reason, error.message], [404, 'NotFound', 'configmaps "missing" not found']);
    return true;
  });
  const body: KubeObject = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'one', namespace: 'a' } };
  await client.create(configMaps, body, { dryRun: true });
  await client.update(configMaps, body, { subresource: 'status' });
  await client.patch(configMaps, 'one', 'a', 'apply', body, { fieldManager: 'me', force: true });
  await client.delete(configMaps, 'one', 'a', { propagationPolicy: 'Background' });
  const text = JSON.stringify(body);
  assert.deepEqual(seen.slice(2), [
    `POST /api/v1/namespaces/a/configmaps?dryRun=All application/json ${text}`,
    `PUT /api/v1/namespaces/a/configmaps/one/status application/json ${text}`,
    `PATCH /api/v1/namespaces/a/configmaps/one?fieldManager=me&force=true application/apply-patch+yaml ${text}`,
    'DELETE /api/v1/namespaces/a/configmaps/one application/json {"apiVersion":"v1","kind":"DeleteOptions","propagationPolicy":"Background"}',
  ]);
  client.close();
});

test('lists all pages, and starts again when a page has expired', async () => {
  let expired = false;
  const { config } = await serve((request, response) => {
    const query = new URL(request.url ?? '', 'http://x').searchParams;
    if (query.get('continue') === 'second') {
      if (!expired) {
        expired = true;
        return failure(response, 410, 'Expired', 'the continue token is too old');
      }
      throw new Error('a token that expired was used again');
    }
    if (query.get('limit') === '500') {
      return json(response, { metadata: { resourceVersion: '5', continue: 'second' }, items: [object('a', '1')] });
    }
    return json(response, { metadata: { resourceVersion: '7' }, items: [object('a', '1'), object('b', '2')] });
  });
  const client = createKubeClient(config, { dropManagedFields: true });
  const { items, resourceVersion } = await client.list(configMaps);
  assert.deepEqual(
    items.map((item) => [item.kind, item.metadata.name, item.metadata.managedFields]),
    [
      ['ConfigMap', 'a', undefined],
      ['ConfigMap', 'b', undefined],
    ],
  );
  assert.equal(resourceVersion, '7');
  client.close();
});

test('a watch lists, syncs, resumes after a break from the last bookmark, and relists with differences on 410', async () => {
  const watches: { from: string | null; response: http.ServerResponse }[] = [];
  let list = [object('kept', '1'), object('changed', '2'), object('removed', '3')];
  let version = '10';
  const { config } = await serve((request, response) => {
    const query = new URL(request.url ?? '', 'http://x').searchParams;
    if (query.get('watch') !== 'true') return json(response, { metadata: { resourceVersion: version }, items: list });
    response.writeHead(200, { 'content-type': 'application/json' });
    response.flushHeaders();
    watches.push({ from: query.get('resourceVersion'), response });
  });
  const events: string[] = [];
  const errors: string[] = [];
  const client = createKubeClient(config);
  const watch = client.watch(
    configMaps,
    {},
    (event: WatchEvent) => {
      events.push(event.type === 'SYNCED' ? event.type : `${event.type} ${event.object.metadata.name}`);
    },
    (error) => errors.push(error.message),
  );
  await eventually(() => watches.length === 1, 'first watch');
  assert.deepEqual(events.splice(0), ['ADDED kept', 'ADDED changed', 'ADDED removed', 'SYNCED']);
  assert.equal(watches[0]!.from, '10');
  const line = JSON.stringify({ type: 'ADDED', object: object('new', '11') });
  watches[0]!.response.write(line.slice(0, 20));
  watches[0]!.response.write(`${line.slice(20)}\n`);
  watches[0]!.response.write(
    `${JSON.stringify({ type: 'BOOKMARK', object: { metadata: { resourceVersion: '15' } } })}\n`,
  );
  await eventually(() => events.length === 1, 'event');
  assert.deepEqual(events.splice(0), ['ADDED new']);
  watches[0]!.response.destroy();
  await eventually(() => watches.length === 2, 'second watch');
  assert.equal(watches[1]!.from, '15');
  assert.equal(errors.length, 1);
  list = [object('kept', '1'), object('changed', '20'), object('new', '11')];
  version = '30';
  watches[1]!.response.end(
    `${JSON.stringify({ type: 'ERROR', object: { kind: 'Status', code: 410, reason: 'Expired', message: 'too old' } })}\n`,
  );
  await eventually(() => watches.length === 3, 'third watch');
  assert.deepEqual(events, ['MODIFIED changed', 'DELETED removed']);
  assert.equal(watches[2]!.from, '30');
  watch.close();
  client.close();
});

test('a watch survives a server that is not there yet, and says so', async () => {
  const { config, server } = await serve((_request, response) => json(response, { items: [] }));
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  const errors: string[] = [];
  let synced = false;
  const client = createKubeClient(config);
  client.watch(
    configMaps,
    {},
    (event) => {
      synced ||= event.type === 'SYNCED';
    },
    (error) => errors.push(error.message),
  );
  await eventually(() => errors.length > 0, 'an error');
  assert.match(errors[0]!, new RegExp(`Cannot reach the Kubernetes API server at http://127.0.0.1:${port}`));
  const second = http.createServer((request, response) => {
    if (request.url?.includes('watch=')) response.writeHead(200).flushHeaders();
    else json(response, { metadata: { resourceVersion: '1' }, items: [] });
  });
  servers.push(second);
  second.listen(port, '127.0.0.1');
  await eventually(() => synced, 'sync');
  client.close();
});

test('discovers resources, and asks again for a kind that was not there before', async () => {
  let served = [{ name: 'gateways', kind: 'Gateway', namespaced: true }];
  let asked = 0;
  const { config } = await serve((request, response) => {
    if (request.url !== '/apis/networking.istio.io/v1') return failure(response, 404, 'NotFound', 'no');
    asked++;
    json(response, {
      kind: 'APIResourceList',
      resources: [...served, { name: 'gateways/status', kind: 'Gateway', namespaced: true }],
    });
  });
  const client = createKubeClient(config);
  const found = await client.resolve('networking.istio.io/v1', 'Gateway');
  assert.deepEqual(found, {
    group: 'networking.istio.io',
    version: 'v1',
    resource: 'gateways',
    kind: 'Gateway',
    namespaced: true,
  });
  await client.resolve('networking.istio.io/v1', 'Gateway');
  assert.equal(asked, 1);
  await assert.rejects(client.resolve('networking.istio.io/v1', 'Sidecar'), /does not serve kind Sidecar/);
  served = [...served, { name: 'sidecars', kind: 'Sidecar', namespaced: true }];
  assert.equal((await client.resolve('networking.istio.io/v1', 'Sidecar')).resource, 'sidecars');
  await assert.rejects(client.resolve('example.com/v1', 'Thing'), (error: KubeApiError) => error.status === 404);
  client.close();
});

test('waits when the server says 429, and follows logs line by line', async () => {
  let refused = 0;
  const { config } = await serve((request, response) => {
    if (request.url?.startsWith('/version')) {
      if (refused++ === 0) return void response.writeHead(429, { 'retry-after': '0' }).end('slow down');
      return json(response, { gitVersion: 'v1.33.0' });
    }
    assert.equal(request.url, '/api/v1/namespaces/a/pods/p/log?container=c&follow=true&tailLines=2');
    response.writeHead(200, { 'content-type': 'text/plain' });
    response.write('first\nsec');
    response.end('ond\nlast');
  });
  const client = createKubeClient(config);
  assert.deepEqual(await client.request('GET', '/version'), { gitVersion: 'v1.33.0' });
  const lines: string[] = [];
  for await (const line of await client.logs('a', 'p', { container: 'c', follow: true, tailLines: 2 }))
    lines.push(line);
  assert.deepEqual(lines, ['first', 'second', 'last']);
  client.close();
});

test('exec gives output and exit code; a refused upgrade gives the reason of the server', async () => {
  const { config, server } = await serve((_request, response) => response.end());
  const sockets = new WebSocketServer({ noServer: true, handleProtocols: () => 'v5.channel.k8s.io' });
  server.on('upgrade', (request, socket, head) => {
    const url = new URL(request.url ?? '', 'http://x');
    if (url.pathname.includes('/missing/')) {
      const body = JSON.stringify({
        kind: 'Status',
        code: 404,
        reason: 'NotFound',
        message: 'pods "missing" not found',
      });
      socket.end(`HTTP/1.1 404 Not Found\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`);
      return;
    }
    assert.deepEqual(url.searchParams.getAll('command'), ['cat', '-n']);
    assert.equal(request.headers.authorization, 'Bearer secret-token');
    sockets.handleUpgrade(request, socket, head, (ws) => {
      ws.on('message', (data: Buffer) => {
        if (data[0] === 0) ws.send(Buffer.concat([Buffer.from([1]), data.subarray(1)]));
        if (data[0] === 255) {
          ws.send(Buffer.from('\x02warn'));
          ws.send(
            `\x03${JSON.stringify({ status: 'Failure', reason: 'NonZeroExitCode', details: { causes: [{ reason: 'ExitCode', message: '7' }] } })}`,
          );
          ws.close();
        }
      });
    });
  });
  const client = createKubeClient(config);
  const input = Buffer.alloc(100_000, 'x');
  const result = await client.exec('a', 'p', undefined, ['cat', '-n'], input);
  assert.equal(result.stdout, input.toString());
  assert.equal(result.stderr, 'warn');
  assert.equal(result.exitCode, 7);
  await assert.rejects(client.exec('a', 'missing', undefined, ['ls']), (error: KubeApiError) => {
    assert.deepEqual([error.status, error.message], [404, 'pods "missing" not found']);
    return true;
  });
  client.close();
});

test('port-forward carries bytes both ways and reports what the pod answers', async () => {
  const echo = createServer((socket) => socket.pipe(socket));
  echo.listen(0, '127.0.0.1');
  await once(echo, 'listening');
  const { config, server } = await serve((_request, response) => response.end());
  const sockets = new WebSocketServer({ noServer: true, handleProtocols: () => 'v4.channel.k8s.io' });
  server.on('upgrade', (request, socket, head) => {
    const port = Number(new URL(request.url ?? '', 'http://x').searchParams.get('ports'));
    sockets.handleUpgrade(request, socket, head, (ws) => {
      const greeting = Buffer.from([0, port & 0xff, port >> 8]);
      ws.send(greeting);
      greeting[0] = 1;
      ws.send(greeting);
      if (port === 1) return ws.send('\x01connection refused');
      const upstream = connect((echo.address() as AddressInfo).port, '127.0.0.1');
      upstream.on('data', (data) => ws.send(Buffer.concat([Buffer.from([0]), data])));
      ws.on('message', (data: Buffer) => upstream.write(data.subarray(1)));
      ws.on('close', () => upstream.destroy());
    });
  });
  const client = createKubeClient(config);
  const stream = await client.portForward('a', 'p', 8080);
  const sent = Buffer.alloc(1 << 20, 'abcdefg');
  stream.write(sent);
  let received = Buffer.alloc(0);
  for await (const chunk of stream) {
    received = Buffer.concat([received, chunk as Buffer]);
    if (received.length >= sent.length) break;
  }
  assert.ok(received.equals(sent));
  const refused = await client.portForward('a', 'p', 1);
  refused.resume();
  const [error] = await once(refused, 'error');
  assert.match(error.message, /port 1 of pod a\/p: connection refused/);
  echo.close();
  client.close();
});

test('speaks over a Unix socket', async () => {
  const path = `/tmp/istio-ts-kube-${process.pid}.sock`;
  const server = http.createServer((_request, response) => json(response, { gitVersion: 'v1.33.0' }));
  servers.push(server);
  server.listen(path);
  await once(server, 'listening');
  const client = createKubeClient({ socketPath: path });
  assert.deepEqual(await client.request('GET', '/version'), { gitVersion: 'v1.33.0' });
  client.close();
});
