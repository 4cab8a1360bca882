import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { after, before, beforeEach, describe, test } from 'node:test';
import { freePort } from '../testing/envoy.ts';
import { istioObject } from '../testing/objects.ts';
import { LoopbackNet } from '../testing/offline-envoy.ts';
import { type Origin, startOrigin } from '../testing/origin.ts';
import { rawHttp2Request } from '../testing/raw-http2.ts';
import { startWorkloads, type Workloads } from '../testing/workloads-envoy.ts';

/** Requests that no client writes: whatever Envoy makes of them, the application never hears a request that the policies have not seen. */

const net = new LoopbackNet();
const SECRET = '/secret/data';

let app: Origin;
let envoy: Workloads;

before(async () => {
  app = await startOrigin('app', '127.0.0.1', await freePort());
  const labels = { app: 'small-bodies' };
  envoy = await startWorkloads({
    net,
    app: app.port,
    workloads: [
      {
        name: 'guarded',
        policies: [
          {
            action: 'DENY',
            rules: [{ to: [{ operation: { paths: [SECRET] } }, { operation: { hosts: ['secret.example'] } }] }],
          },
        ],
      },
      {
        name: 'only-public',
        policies: [{ action: 'ALLOW', rules: [{ to: [{ operation: { paths: ['/public/*'] } }] }] }],
      },
      {
        name: 'addresses',
        policies: [{ action: 'DENY', rules: [{ to: [{ operation: { hosts: ['[2001:db8::1]'] } }] }] }],
      },
      {
        name: 'small-bodies',
        objects: [
          istioObject(
            'EnvoyFilter',
            { name: 'small-bodies' },
            {
              workloadSelector: { labels },
              configPatches: [
                {
                  applyTo: 'HTTP_FILTER',
                  match: {
                    context: 'SIDECAR_INBOUND',
                    listener: { filterChain: { filter: { name: 'envoy.filters.network.http_connection_manager' } } },
                  },
                  patch: {
                    operation: 'INSERT_FIRST',
                    value: {
                      name: 'envoy.filters.http.buffer',
                      typed_config: {
                        '@type': 'type.googleapis.com/envoy.extensions.filters.http.buffer.v3.Buffer',
                        max_request_bytes: 1000,
                      },
                    },
                  },
                },
              ],
            },
          ),
        ],
      },
    ],
  });
});
after(async () => {
  await envoy?.stop();
  await app?.close();
});
beforeEach(() => {
  app.arrivals.length = 0;
});

/** Everything that comes back on one connection until it is quiet for a while or ends. */
const whole = (name: string, text: string | Buffer): Promise<string> =>
  new Promise((resolve) => {
    const { address, port } = envoy.at(name);
    const socket = connect({ host: address, port });
    let received = '';
    socket.setTimeout(500, () => socket.destroy());
    socket.on('connect', () => socket.write(text));
    socket.on('data', (data: Buffer) => (received += data.toString('latin1')));
    socket.on('error', () => undefined);
    socket.on('close', () => resolve(received));
  });
const statuses = (text: string): readonly string[] => [...text.matchAll(/^HTTP\/1\.1 (\d+)/gm)].map((m) => m[1] ?? '');

describe('HTTP/1', () => {
  const HEAD = 'POST /open HTTP/1.1\r\nHost: a\r\n';
  const INNER = `GET ${SECRET} HTTP/1.1\r\nHost: a\r\n\r\n`;
  const CHUNK = `${INNER.length.toString(16)}\r\n${INNER}\r\n0\r\n\r\n`;

  test('lengths and encodings on which two readers might differ', async () => {
    const odd: Readonly<Record<string, string>> = {
      'CL.TE': `${HEAD}Content-Length: ${INNER.length + 5}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${INNER}`,
      'TE.CL': `${HEAD}Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n${CHUNK}`,
      'TE.TE': `${HEAD}Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n${CHUNK}`,
      'a list of lengths': `${HEAD}Content-Length: 0, ${INNER.length}\r\n\r\n${INNER}`,
      'a hexadecimal length': `${HEAD}Content-Length: 0x0\r\n\r\n${INNER}`,
      'a negative length': `${HEAD}Content-Length: -1\r\n\r\n${INNER}`,
      'a huge length': `${HEAD}Content-Length: 99999999999999999999999\r\n\r\n${INNER}`,
      'an encoding behind a tab': `${HEAD}Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n${INNER}`,
      'an encoding in quotes': `${HEAD}Transfer-Encoding: "chunked"\r\n\r\n0\r\n\r\n${INNER}`,
      'a folded encoding': `${HEAD}Transfer-Encoding:\r\n chunked\r\nContent-Length: 3\r\n\r\n${CHUNK}`,
      'a folded header': `${HEAD}X-A: b\r\n Content-Length: 0\r\nContent-Length: ${INNER.length}\r\n\r\n${INNER}`,
      'a header that begins with a space': `POST /open HTTP/1.1\r\n Content-Length: 0\r\nHost: a\r\n\r\n${INNER}`,
      'line feeds alone': `POST /open HTTP/1.1\nHost: a\nContent-Length: ${INNER.length}\n\n${INNER}`,
      'a line feed inside of a header': `${HEAD}X-A: b\nContent-Length: ${INNER.length}\r\n\r\n${INNER}`,
      'a carriage return inside of a header': `${HEAD}X-A: b\rContent-Length: ${INNER.length}\r\n\r\n`,
      'a chunk whose size is too large': `${HEAD}Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n${INNER}`,
      'an extension with a line feed': `${HEAD}Transfer-Encoding: chunked\r\n\r\n0;a\n\r\n${INNER}`,
      trailers: `${HEAD}Transfer-Encoding: chunked\r\n\r\n0\r\nHost: secret.example\r\nContent-Length: ${INNER.length}\r\n\r\n${INNER}`,
      'HTTP/1.0 with chunks': `POST /open HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${INNER}`,
      'another version': `GET ${SECRET} HTTP/1.9\r\nHost: a\r\n\r\n`,
      'a tab for a space': `GET\t${SECRET}\tHTTP/1.1\r\nHost: a\r\n\r\n`,
      'a line in a path': `GET /open\r${SECRET} HTTP/1.1\r\nHost: a\r\n\r\n`,
    };
    const answers = await Promise.all(
      Object.entries(odd).map(async ([what, text], i) => {
        const answered = statuses(await whole('guarded', text.replace('/open', `/open-${i}`)));
        return { what, served: answered.filter((status) => status === '200').length, path: `/open-${i}` };
      }),
    );
    for (const { what, served, path } of answers) {
      assert.ok(served <= 1, what);
      // The application hears of one request, the one that the policies have seen, or of none.
      const arrived = app.arrivals.filter((one) => one.path === path).length;
      assert.ok(arrived >= served && arrived <= 1, `${what}: ${arrived}`);
    }
    assert.deepEqual(
      app.arrivals.filter((one) => !/^\/open-\d+$/.test(one.path)),
      [],
    );
  });

  test('letters that are encoded longer than need be are no dots and slashes', async () => {
    const ways = ['/public/%c0%ae%c0%ae/secret/data', '/public/..%c0%afsecret/data', '/public/%e0%80%ae./secret/data'];
    for (const path of [
      ...ways,
      '/secret%c0%afdata',
      '/%c0%afsecret/data',
      '/%uff0fsecret/data',
      '/secret%u002fdata',
    ]) {
      app.arrivals.length = 0;
      const { status } = await envoy.ask('guarded', { path });
      // It goes on as it came, so that nobody behind the policies is the first to read something else in it.
      assert.deepEqual(
        app.arrivals.map((one) => one.path),
        status === 200 ? [path] : [],
        path,
      );
    }
    for (const raw of [[0xc0, 0xae, 0xc0, 0xae], [0xc0, 0xaf], [0xff]]) {
      app.arrivals.length = 0;
      const target = Buffer.concat([
        Buffer.from('GET /public/'),
        Buffer.from(raw),
        Buffer.from('/../../secret/data HTTP/1.1\r\nHost: a\r\n\r\n'),
      ]);
      const answered = statuses(await whole('only-public', target));
      assert.deepEqual(app.arrivals, []);
      assert.ok(
        answered.every((status) => status === '400' || status === '403'),
        answered.join(),
      );
    }
  });

  test('hosts that are addresses of IPv6', async () => {
    const status = async (host: string) => (await envoy.ask('addresses', { host })).status;
    assert.deepEqual(
      [await status('[2001:db8::1]'), await status('[2001:DB8::1]'), await status('[2001:db8::1]:8080')],
      [403, 403, 403],
    );
    assert.deepEqual([await status('[2001:db8::2]'), await status('[2001:db8::11]:1')], [200, 200]);
  });
});

describe('HTTP/2', () => {
  const usual: readonly (readonly [string, string])[] = [
    [':method', 'GET'],
    [':scheme', 'http'],
    [':authority', 'public.example'],
    [':path', '/open'],
  ];
  const without = (name: string) => usual.filter(([one]) => one !== name);

  test('pseudo headers and others that no request may have', async () => {
    const odd: Readonly<Record<string, readonly (readonly [string, string])[]>> = {
      'two paths': [...usual, [':path', SECRET]],
      'two paths, the other one first': [[':path', SECRET], ...usual],
      'two authorities': [...usual, [':authority', 'secret.example']],
      'a path behind headers': [...without(':path'), ['x-a', 'b'], [':path', SECRET]],
      'no path': without(':path'),
      'an empty path': [...without(':path'), [':path', '']],
      'a path without its slash': [...without(':path'), [':path', 'secret/data']],
      'a path that is a line': [...without(':path'), [':path', `/open HTTP/1.1\r\nHost: a\r\n\r\nGET ${SECRET}`]],
      'a header that is lines': [...usual, ['x-a', `b\r\n\r\nGET ${SECRET} HTTP/1.1\r\nHost: a\r\n\r\n`]],
      'a name that is lines': [...usual, [`x-a: b\r\n\r\nGET ${SECRET} HTTP/1.1\r\nx`, 'b']],
      'an unknown pseudo header': [...usual, [':secret', 'yes']],
      'one of answers': [...usual, [':status', '200']],
      capitals: [...usual, ['X-A', 'b']],
      'an encoding': [...usual, ['transfer-encoding', 'chunked']],
      'a connection': [...usual, ['connection', 'x-a'], ['x-a', 'b']],
      'an upgrade': [...usual, ['upgrade', 'h2c']],
      'two lengths': [...usual, ['content-length', '0'], ['content-length', '5']],
      'a length without a body': [...usual, ['content-length', '60']],
      'CONNECT with a path': [...without(':method'), [':method', 'CONNECT']],
      'CONNECT for something': [...without(':method'), [':method', 'CONNECT'], [':protocol', 'websocket']],
    };
    // Envoy refuses the stream, or the whole connection.
    const answers = await Promise.all(
      Object.entries(odd).map(async ([what, headers]) => [what, await rawHttp2Request(envoy.at('guarded'), headers)]),
    );
    for (const [what, status = ''] of answers) assert.match(status, /^(closed|reset|400)$/, what);
    assert.deepEqual(app.arrivals, []);
    assert.equal(await rawHttp2Request(envoy.at('guarded'), usual), '200');
  });

  test('paths and hosts are those of HTTP/1', async () => {
    const status = (path: string, host = 'public.example') =>
      rawHttp2Request(envoy.at('guarded'), [
        [':method', 'GET'],
        [':scheme', 'http'],
        [':authority', host],
        [':path', path],
      ]);
    assert.deepEqual(
      [await status(SECRET), await status('/public/../secret/data'), await status('/secret\\data')],
      ['403', '403', '403'],
    );
    assert.deepEqual([await status(`${SECRET}#x`), await status('/open#/../secret/data')], ['400', '400']);
    for (const host of [
      'secret.example',
      'SECRET.example',
      'secret.example:80',
      'secret.example.',
      'secret.example.:1',
    ])
      assert.equal(await status('/open', host), '403', host);
    assert.equal(await status('/open'), '200');
  });
});

describe('sizes', () => {
  test('headers: 60 KiB and a hundred of them (Envoy’s defaults); what is more is answered with 431 before the application hears of it', async () => {
    const long = async (bytes: number) =>
      (await envoy.ask('guarded', { headers: { 'x-long': 'x'.repeat(bytes) } })).status;
    assert.equal(await long(10_000), 200);
    app.arrivals.length = 0;
    assert.deepEqual([await long(61 * 1024), await long(96 * 1024)], [431, 431]);
    const many = (count: number) =>
      envoy.ask('guarded', { headers: Object.fromEntries(Array.from({ length: count }, (_, i) => [`x-${i}`, '1'])) });
    assert.equal((await many(150)).status, 431);
    assert.deepEqual(app.arrivals, []);
    assert.equal((await many(60)).status, 200);
    app.arrivals.length = 0;
    for (const bytes of [61 * 1024, 96 * 1024])
      assert.notEqual(
        await rawHttp2Request(envoy.at('guarded'), [
          [':method', 'GET'],
          [':scheme', 'http'],
          [':authority', 'a'],
          [':path', '/open'],
          ...Array.from({ length: 8 }, (_, i) => [`x-${i}`, 'x'.repeat(bytes / 8)] as const),
        ]),
        '200',
      );
    assert.deepEqual(app.arrivals, []);
  });

  test('bodies: none by default; where a filter sets one, 413', async () => {
    const post = async (name: string, bytes: number) =>
      (await envoy.ask(name, { method: 'POST', body: 'x'.repeat(bytes) })).status;
    assert.equal(await post('guarded', 3_000_000), 200);
    assert.equal(await post('small-bodies', 900), 200);
    app.arrivals.length = 0;
    assert.equal(await post('small-bodies', 1100), 413);
    assert.deepEqual(app.arrivals, []);
  });
});
