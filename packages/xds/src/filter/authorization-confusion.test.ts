import assert from 'node:assert/strict';
import { connect as connectHttp2 } from 'node:http2';
import { connect } from 'node:net';
import { after, before, beforeEach, describe, test } from 'node:test';
import { proves } from '../field-proof.ts';
import { freePort } from '../testing/envoy.ts';
import { LoopbackNet } from '../testing/offline-envoy.ts';
import { type Origin, startOrigin } from '../testing/origin.ts';
import { startWorkloads, type Workloads } from '../testing/workloads-envoy.ts';

/**
 * Attempts to get around policies by writing the same request in another way: what reaches the application must be what the policies have seen (Istio,
 * "Security best practices", and the options of path normalisation).
 */

const net = new LoopbackNet();
const OPTIONS = ['NONE', 'BASE', 'MERGE_SLASHES', 'DECODE_AND_MERGE_SLASHES'] as const;
const SECRET = '/secret/data';
const CALLER = 'cluster.local/ns/shop/sa/caller';

type Spec = Readonly<Record<string, unknown>>;
const deny = (operation: Spec): Spec => ({ action: 'DENY', rules: [{ to: [{ operation }] }] });
const withHeader = (action: string, rest: Spec): Spec => ({
  action,
  rules: [{ when: [{ key: 'request.headers[x-role]', ...rest }] }],
});
const sources = (source: Spec): Spec => ({ action: 'ALLOW', rules: [{ from: [{ source }] }] });

let app: Origin;
let envoy: Workloads;

before(async () => {
  app = await startOrigin('app', '127.0.0.1', await freePort());
  envoy = await startWorkloads({
    net,
    app: app.port,
    workloads: [
      ...OPTIONS.flatMap((normalization) => [
        {
          name: normalization,
          meshConfig: { pathNormalization: { normalization } },
          policies: [deny({ paths: [SECRET] })],
        },
        {
          name: `only-public-${normalization}`,
          meshConfig: { pathNormalization: { normalization } },
          policies: [{ action: 'ALLOW', rules: [{ to: [{ operation: { paths: ['/public/*'] } }] }] }],
        },
      ]),
      { name: 'usual', policies: [deny({ paths: [SECRET] })] },
      { name: 'hosts', policies: [deny({ hosts: ['secret.example'] })] },
      { name: 'methods', policies: [deny({ methods: ['DELETE'] })] },
      { name: 'not-admin', policies: [withHeader('DENY', { values: ['admin'] })] },
      { name: 'only-user', policies: [withHeader('ALLOW', { values: ['user', 'guest.*'] })] },
      { name: 'not-unless-user', policies: [withHeader('DENY', { notValues: ['user'] })] },
      { name: 'all-but-admin', policies: [withHeader('ALLOW', { notValues: ['admin'] })] },
      { name: 'identity', policies: [sources({ principals: [CALLER] })] },
      { name: 'loopback', policies: [sources({ ipBlocks: ['127.0.0.1/32'] })] },
      { name: 'literal', policies: [sources({ namespaces: ['a.*'] })] },
      { name: 'literals', policies: [deny({ hosts: ['a.b(c)', '*.x+y'] }), deny({ paths: ['/a.b[c]*', '/(.*)'] })] },
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

describe('paths', () => {
  /** Ways to write the path, and the options with which it is the one that is refused, and how it arrives with the others. */
  const refusedBy: readonly (readonly [path: string, refusedFrom: (typeof OPTIONS)[number] | undefined])[] = [
    [SECRET, 'NONE'],
    ['/secret/data?x=/public', 'NONE'],
    ['/secret/../secret/data', 'BASE'],
    ['/public/../secret/data', 'BASE'],
    ['/public/%2e%2e/secret/data', 'BASE'],
    ['/public/%2E./secret/data', 'BASE'],
    ['/./secret/data', 'BASE'],
    ['/secret/./data', 'BASE'],
    ['/secret\\data', 'BASE'],
    ['/secret//data', 'MERGE_SLASHES'],
    ['//secret/data', 'MERGE_SLASHES'],
    ['/secret/..//secret/data', 'MERGE_SLASHES'],
    ['/secret%2Fdata', 'DECODE_AND_MERGE_SLASHES'],
    ['/secret%2fdata', 'DECODE_AND_MERGE_SLASHES'],
    ['/secret%5Cdata', 'DECODE_AND_MERGE_SLASHES'],
    ['/secret%5cdata', 'DECODE_AND_MERGE_SLASHES'],
    ['/public/..%2fsecret/data', 'DECODE_AND_MERGE_SLASHES'],
    ['/secret%2f%2fdata', 'DECODE_AND_MERGE_SLASHES'],
    // Dots are resolved before slashes are merged: this is `/public/secret/data`.
    ['/public//..//secret/data', undefined],
    // What no option makes the same: case, a slash at the end, what is encoded twice, parameters of segments.
    ['/SECRET/data', undefined],
    ['/secret/data/', undefined],
    ['/secret%252Fdata', undefined],
    ['/secret/data;x', undefined],
  ];

  for (const [index, option] of OPTIONS.entries())
    test(`pathNormalization ${option}`, async () => {
      proves('MeshConfig.pathNormalization.normalization', 'AuthorizationPolicy.spec.rules[].to[].operation.paths[]');
      const seen = await Promise.all(
        refusedBy.map(async ([path]) => [path, (await envoy.ask(option, { path })).status] as const),
      );
      assert.deepEqual(
        seen,
        refusedBy.map(([path, from]) => [path, from !== undefined && OPTIONS.indexOf(from) <= index ? 403 : 200]),
      );
      // None of those that were let through arrived as the path that is refused.
      assert.deepEqual(
        app.arrivals.filter(({ path }) => path === SECRET),
        [],
      );
      // The same ways out of what alone is allowed.
      const outside = ['/public/../secret', '/public/..%2fsecret', '/public/..\\secret', '/public/%2e%2e/secret'];
      for (const path of outside) {
        app.arrivals.length = 0;
        const { status } = await envoy.ask(`only-public-${option}`, { path });
        const [arrived] = app.arrivals;
        assert.equal(status === 200, arrived?.path.startsWith('/public/') === true, `${option} ${path}`);
      }
    });

  test('the usual option is BASE', async () => {
    proves('MeshConfig.pathNormalization.normalization');
    const statuses = await Promise.all(
      ['/public/../secret/data', '/secret//data', '/secret%2Fdata'].map(
        async (path) => (await envoy.ask('usual', { path })).status,
      ),
    );
    assert.deepEqual(statuses, [403, 200, 200]);
  });

  test('a path that does not start with a slash is refused', async () => {
    for (const path of ['\\secret/data', 'secret/data', '%2Fsecret/data'])
      for (const option of OPTIONS) assert.equal((await envoy.ask(option, { path })).status, 400, `${option} ${path}`);
  });

  test('a path with a fragment is refused, whatever it names', async () => {
    for (const path of ['/secret/data#x', '/public#/../secret/data'])
      for (const option of OPTIONS) assert.equal((await envoy.ask(option, { path })).status, 400, `${option} ${path}`);
    assert.deepEqual(app.arrivals, []);
  });

  test('a whole URL counts by its path and its host', async () => {
    const get = (target: string, name = 'usual', host = 'public.example') =>
      envoy.exchange(name, `GET ${target} HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
    assert.match(await get(`http://any.example${SECRET}`), /^HTTP\/1.1 403 /);
    assert.match(await get('http://any.example/public/../secret/data'), /^HTTP\/1.1 403 /);
    assert.match(await get('http://secret.example/', 'hosts'), /^HTTP\/1.1 403 /);
    assert.match(await get('http://public.example/', 'hosts', 'secret.example'), /^HTTP\/1.1 200 /);
    // The application hears of the host that the policies have seen.
    assert.equal(app.arrivals.at(-1)?.headers.host, 'public.example');
  });
});

describe('headers', () => {
  const role = (name: string, ...values: readonly string[]) =>
    envoy.ask(name, { headers: { 'x-role': values } }).then(({ status }) => status);

  test('a header that comes several times', async () => {
    proves('AuthorizationPolicy.spec.rules[].when[].values[]', 'AuthorizationPolicy.spec.rules[].when[].notValues[]');
    assert.equal(await role('not-admin', 'admin'), 403);
    assert.equal(await role('not-admin', 'user'), 200);
    assert.equal(await role('not-admin', 'user', 'admin'), 403);
    assert.equal(await role('not-admin', 'admin', 'user'), 403);
    assert.equal(await role('only-user', 'user'), 200);
    // One value is enough, so who must not have a role is better refused than let in for another one.
    assert.equal(await role('only-user', 'user', 'admin'), 200);
    assert.equal(await role('only-user', 'guest.1'), 200);
    assert.equal(await role('only-user', 'guestX1'), 403);
    assert.equal(await role('all-but-admin', 'user'), 200);
    assert.equal(await role('all-but-admin', 'user', 'admin'), 403);
    assert.equal(await role('not-unless-user', 'user'), 200);
    assert.equal(await role('not-unless-user', 'admin'), 403);
    assert.equal((await envoy.ask('not-unless-user')).status, 403);
    assert.equal((await envoy.ask('all-but-admin')).status, 200);
  });

  test('another spelling is another header', async () => {
    assert.equal((await envoy.ask('only-user', { headers: { x_role: 'user' } })).status, 403);
    assert.equal((await envoy.ask('only-user', { headers: { 'X-ROLE': 'user' } })).status, 200);
  });

  test('methods are taken as they are written', async () => {
    const status = async (method: string) =>
      (await envoy.exchange('methods', `${method} / HTTP/1.1\r\nHost: a\r\n\r\n`)).slice(9, 12);
    assert.equal(await status('DELETE'), '403');
    // No method of HTTP: the application is not asked to understand it.
    assert.notEqual(await status('delete'), '200');
  });

  test('hosts with HTTP/2: only :authority counts, and only it arrives', async () => {
    const { address, port } = envoy.at('hosts');
    const ask = (headers: Readonly<Record<string, string>>) =>
      new Promise<number>((resolve, reject) => {
        const session = connectHttp2(`http://${address}:${port}`);
        session.on('error', reject);
        const stream = session.request({ ':path': '/', ...headers });
        stream.on('response', (received) => resolve(Number(received[':status'])));
        stream.on('error', reject);
        stream.on('close', () => session.close());
        stream.resume();
        stream.end();
      });
    assert.equal(await ask({ ':authority': 'secret.example', host: 'public.example' }), 403);
    assert.equal(await ask({ ':authority': 'public.example', host: 'secret.example' }), 200);
    assert.equal(app.arrivals.at(-1)?.headers.host, 'public.example');
  });
});

describe('who asks', () => {
  test('neither an address nor a header is an identity', async () => {
    proves('AuthorizationPolicy.spec.rules[].from[].source.principals[]');
    const forged = {
      'x-forwarded-client-cert': `By=spiffe://a;Hash=1;URI=spiffe://${CALLER}`,
      'x-forwarded-for': '127.0.0.1',
    };
    assert.equal((await envoy.ask('identity', { from: '127.0.0.1' })).status, 403);
    assert.equal((await envoy.ask('identity', { host: 'localhost', from: '127.0.0.1', headers: forged })).status, 403);
    assert.equal((await envoy.ask('identity', { as: 'cluster.local/ns/x/sa/y', headers: forged })).status, 403);
    assert.equal((await envoy.ask('identity', { as: CALLER })).status, 200);
  });

  test('the own machine is only who comes from there', async () => {
    proves('AuthorizationPolicy.spec.rules[].from[].source.ipBlocks[]');
    const headers = {
      'x-forwarded-for': '127.0.0.1',
      'x-real-ip': '127.0.0.1',
      'x-envoy-external-address': '127.0.0.1',
    };
    assert.equal((await envoy.ask('loopback', { from: net.ip(2), host: 'localhost', headers })).status, 403);
    assert.equal((await envoy.ask('loopback', { from: '127.0.0.1' })).status, 200);
  });

  test('names of policies are literals, not expressions', async () => {
    assert.equal((await envoy.ask('literal', { as: 'cluster.local/ns/a.b/sa/x' })).status, 200);
    assert.equal((await envoy.ask('literal', { as: 'cluster.local/ns/aXb/sa/x' })).status, 403);
    const host = async (text: string) => (await envoy.ask('literals', { host: text })).status;
    assert.deepEqual(
      [await host('a.b(c)'), await host('aXbc'), await host('1.x+y'), await host('1.xxy')],
      [403, 200, 403, 200],
    );
    const path = async (text: string) => (await envoy.ask('literals', { path: text })).status;
    assert.deepEqual(
      [await path('/a.b[c]'), await path('/aXbc'), await path('/(.*)'), await path('/any')],
      [403, 200, 403, 200],
    );
  });
});

describe('requests inside requests', () => {
  const HEAD = 'POST /open HTTP/1.1\r\nHost: a\r\n';
  const INNER = `GET ${SECRET} HTTP/1.1\r\nHost: a\r\n\r\n`;

  /** Everything that comes back on one connection until it is quiet for a while (long enough for a busy machine) or ends. */
  const whole = (name: string, text: string): Promise<string> =>
    new Promise((resolve) => {
      const { address, port } = envoy.at(name);
      const socket = connect({ host: address, port });
      let received = '';
      socket.setTimeout(1500, () => socket.destroy());
      socket.on('connect', () => socket.write(text));
      socket.on('data', (data: Buffer) => (received += data.toString()));
      socket.on('error', () => undefined);
      socket.on('close', () => resolve(received));
    });
  const statuses = (text: string): readonly string[] =>
    [...text.matchAll(/^HTTP\/1\.1 (\d+)/gm)].map((m) => m[1] ?? '');

  test('lengths that contradict each other, and headers that are written oddly, are refused', async () => {
    const odd = {
      'both lengths': `${HEAD}Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${INNER}`,
      'two lengths': `${HEAD}Content-Length: 0\r\nContent-Length: ${INNER.length}\r\n\r\n${INNER}`,
      'a length with a sign': `${HEAD}Content-Length: +0\r\n\r\n${INNER}`,
      'an unknown encoding': `${HEAD}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n${INNER}`,
      'two encodings': `${HEAD}Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n${INNER}`,
      'a space before the colon': `${HEAD}Content-Length : 0\r\n\r\n${INNER}`,
      'no host': `POST /open HTTP/1.1\r\n\r\n${INNER}`,
      'a zero byte': `${HEAD}X-A: a\0b\r\n\r\n`,
      'HTTP/0.9': `GET ${SECRET}\r\n`,
      'a space in the path': `GET /open ${SECRET} HTTP/1.1\r\nHost: a\r\n\r\n`,
      'a chunk of no size': `${HEAD}Transfer-Encoding: chunked\r\n\r\nZ\r\n\r\n${INNER}`,
    };
    const answers = await Promise.all(
      Object.entries(odd).map(async ([what, text]) => [what, statuses(await whole('usual', text))] as const),
    );
    for (const [what, answered] of answers)
      assert.deepEqual(
        answered.filter((status) => !['400', '426', '501'].includes(status)),
        [],
        `${what}: ${answered.join()}`,
      );
    assert.deepEqual(
      app.arrivals.filter(({ path }) => path === SECRET),
      [],
    );
  });

  test('a request in the body of another is body; one behind another is checked too', async () => {
    const length = `Content-Length: ${INNER.length}\r\n\r\n`;
    assert.deepEqual(statuses(await whole('usual', `${HEAD}${length}${INNER}`)), ['200']);
    assert.deepEqual(statuses(await whole('usual', `${HEAD}Content-Length: 0\r\n\r\n${INNER}`)), ['200', '403']);
    const chunked = `Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n${INNER}`;
    assert.deepEqual(statuses(await whole('usual', `${HEAD}${chunked}`)), ['200', '403']);
    assert.deepEqual(
      app.arrivals.map(({ path }) => path),
      ['/open', '/open', '/open'],
    );
  });

  test('two hosts', async () => {
    const two = (first: string, second: string) =>
      whole('hosts', `GET / HTTP/1.1\r\nHost: ${first}\r\nHost: ${second}\r\n\r\n`);
    // They arrive as one, as the policies have seen it.
    assert.deepEqual(statuses(await two('public.example', 'secret.example')), ['403']);
    assert.deepEqual(statuses(await two('secret.example', 'public.example')), ['403']);
    assert.deepEqual(statuses(await two('public.example', 'other.example')), ['200']);
    assert.equal(app.arrivals.at(-1)?.headers.host, 'public.example,other.example');
  });

  test('an upgrade to HTTP/2 or a CONNECT is no tunnel past the policies', async () => {
    const upgrade = 'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n';
    assert.deepEqual(statuses(await whole('usual', `GET ${SECRET} HTTP/1.1\r\nHost: a\r\n${upgrade}`)), ['403']);
    const open = await whole('usual', `GET /open HTTP/1.1\r\nHost: a\r\n${upgrade}${INNER}`);
    assert.equal(open.includes('101 '), false);
    const tunnel = await whole('usual', `CONNECT 127.0.0.1:${app.port} HTTP/1.1\r\nHost: a\r\n\r\n${INNER}`);
    assert.equal(statuses(tunnel).includes('200'), false);
    assert.deepEqual(
      app.arrivals.filter(({ path, method }) => path === SECRET || method === 'CONNECT'),
      [],
    );
  });
});
