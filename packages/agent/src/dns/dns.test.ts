import assert from 'node:assert/strict';
import { createSocket, type Socket } from 'node:dgram';
import { Resolver } from 'node:dns/promises';
import { createServer, type Server, connect } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { createLogger } from '../log.ts';
import { encodeAnswer, encodeFailure, readQuestion, ResponseCode } from './message.ts';
import { DnsCounters } from './metrics.ts';
import { Names } from './names.ts';
import { readResolvConf } from './resolv-conf.ts';
import { type DnsServer, startDnsServer } from './server.ts';
import { createUpstream } from './upstream.ts';

const kubernetes = (shortname: string, ...ips: string[]) => ({
  ips,
  registry: 'Kubernetes',
  shortname,
  namespace: 'shop',
});
const external = (...ips: string[]) => ({ ips, registry: 'External', shortname: '', namespace: 'shop' });
const search = ['shop.svc.cluster.local', 'svc.cluster.local', 'cluster.local'];

describe('names', () => {
  const names = new Names(
    new Map([
      ['cart.shop.svc.cluster.local', kubernetes('cart', '10.0.0.1')],
      ['db-0.db.shop.svc.cluster.local', kubernetes('db-0.db', '10.1.0.7')],
      ['api.example.test', external('240.240.0.1')],
      ['*.example.test', external('240.7.7.7')],
      ['*.deep.example.test', external('240.8.8.8')],
      ['nothing.example.test', external()],
    ]),
    { namespace: 'shop', search },
  );
  it('are found in all the forms that resolv.conf makes of them', () => {
    for (const name of ['cart', 'cart.shop', 'cart.shop.svc', 'cart.shop.svc.cluster.local'])
      assert.deepEqual(names.find(name)?.ips, ['10.0.0.1'], name);
    assert.deepEqual(names.find('db-0.db')?.ips, ['10.1.0.7']);
    assert.deepEqual(names.find('api.example.test.shop.svc.cluster.local'), {
      alias: 'api.example.test',
      ips: ['240.240.0.1'],
    });
    assert.equal(names.find('cart.other'), undefined);
  });
  it('are covered by the most specific wildcard, exact ones first', () => {
    assert.deepEqual(names.find('api.example.test')?.ips, ['240.240.0.1']);
    assert.deepEqual(names.find('any.example.test')?.ips, ['240.7.7.7']);
    assert.deepEqual(names.find('a.b.deep.example.test')?.ips, ['240.8.8.8']);
    assert.deepEqual(names.find('any.example.test.shop.svc.cluster.local'), {
      alias: 'any.example.test',
      ips: ['240.7.7.7'],
    });
    assert.equal(names.find('example.test'), undefined);
  });
  it('of other namespaces need theirs', () => {
    const others = new Names(new Map([['cart.shop.svc.cluster.local', kubernetes('cart', '10.0.0.1')]]), {
      namespace: 'else',
      search,
    });
    assert.equal(others.find('cart'), undefined);
    assert.deepEqual(others.find('cart.shop')?.ips, ['10.0.0.1']);
  });
});

describe('resolv.conf', () => {
  it('has servers and a search list, the last one of which counts', () => {
    assert.deepEqual(
      readResolvConf(
        '# c\nsearch old\nnameserver 10.96.0.10\nnameserver fe80::1%eth0\nnameserver nonsense\noptions ndots:5\nsearch A.b. c\n',
      ),
      { servers: ['10.96.0.10', 'fe80::1%eth0'], search: ['a.b', 'c'] },
    );
  });
});

/** A name server with fixed answers: `known.test` has an address, `cut.test` a cut answer over UDP, `silent.test` none, all else is not there. */
async function nameServer() {
  const seen: string[] = [];
  const answer = (query: Buffer, transport: 'udp' | 'tcp'): Buffer | undefined => {
    const read = readQuestion(query);
    if (read.kind !== 'question') return undefined;
    const { question } = read;
    seen.push(`${transport} ${question.name} ${question.type}`);
    if (question.name === 'silent.test') return undefined;
    if (question.name === 'known.test')
      return encodeAnswer(question, { addresses: question.type === 1 ? ['192.0.2.1'] : [], ttl: 5 }, transport);
    if (question.name === 'cut.test')
      return encodeAnswer(
        question,
        { addresses: Array.from({ length: 60 }, (_, i) => `192.0.2.${i + 1}`), ttl: 5 },
        transport,
      );
    return encodeFailure(question, 3);
  };
  const udp: Socket = createSocket('udp4');
  await new Promise<void>((resolve) => udp.bind(0, '127.0.0.1', resolve));
  const { port } = udp.address();
  udp.on('message', (query, from) => {
    const response = answer(query, 'udp');
    if (!response) return;
    // Somebody else's idea of an answer comes first: wrong id, then wrong question.
    const forged = Buffer.from(response);
    forged.writeUInt16BE((query.readUInt16BE(0) + 1) & 0xffff, 0);
    udp.send(forged, from.port, from.address);
    udp.send(response, from.port, from.address);
  });
  const tcp: Server = createServer((socket) => {
    socket.on('error', () => socket.destroy());
    socket.on('data', (chunk: Buffer) => {
      const response = answer(chunk.subarray(2), 'tcp');
      if (!response) return;
      const head = Buffer.alloc(2);
      head.writeUInt16BE(response.length, 0);
      socket.write(Buffer.concat([head, response]));
    });
  });
  await new Promise<void>((resolve) => tcp.listen(port, '127.0.0.1', resolve));
  return {
    port,
    seen,
    close: async () => {
      await new Promise<void>((resolve) => udp.close(() => resolve()));
      await new Promise((resolve) => tcp.close(resolve));
    },
  };
}

describe('the DNS proxy, asked over the network', () => {
  let upstream: Awaited<ReturnType<typeof nameServer>>;
  let server: DnsServer;
  const counters = new DnsCounters(Date.now);
  let port = 0;
  const resolver = new Resolver({ timeout: 20_000, tries: 1 });

  before(async () => {
    upstream = await nameServer();
    const free = createSocket('udp4');
    await new Promise<void>((resolve) => free.bind(0, '127.0.0.1', resolve));
    port = free.address().port;
    await new Promise<void>((resolve) => free.close(() => resolve()));
    server = await startDnsServer({
      addresses: ['127.0.0.1'],
      port,
      names: { namespace: 'shop', search },
      upstream: createUpstream(
        // The first server is gone: the second one is asked then.
        [
          { address: '127.0.0.1', port: 1 },
          { address: '127.0.0.1', port: upstream.port },
        ],
        false,
        { timeoutMs: 1000, randomId: () => 4711 },
      ),
      metrics: counters,
      log: createLogger({ write: () => undefined }),
    });
    server.update(
      new Map([
        ['cart.shop.svc.cluster.local', kubernetes('cart', '10.0.0.1', '10.0.0.2', 'fd00::a:1')],
        [
          'many.shop.svc.cluster.local',
          kubernetes('many', ...Array.from({ length: 100 }, (_, i) => `10.1.0.${i + 1}`)),
        ],
        ['api.example.test', external('240.240.0.1')],
      ]),
    );
    resolver.setServers([`127.0.0.1:${port}`]);
  });
  after(async () => {
    await server.close();
    await upstream.close();
  });

  it('answers names of the mesh by itself, in both families, and empty where one is missing', async () => {
    assert.deepEqual(
      (await resolver.resolve4('Cart.Shop', { ttl: true })).sort((a, b) => (a.address < b.address ? -1 : 1)),
      [
        { address: '10.0.0.1', ttl: 30 },
        { address: '10.0.0.2', ttl: 30 },
      ],
    );
    assert.deepEqual(await resolver.resolve6('cart'), ['fd00::a:1']);
    await assert.rejects(resolver.resolve6('api.example.test'), { code: 'ENODATA' });
    assert.deepEqual(await resolver.resolve4('api.example.test.shop.svc.cluster.local'), ['240.240.0.1']);
    assert.deepEqual(upstream.seen, []);
  });
  it('hands everything else on, to the next server where one is gone', async () => {
    assert.deepEqual(await resolver.resolve4('known.test'), ['192.0.2.1']);
    await assert.rejects(resolver.resolve4('unknown.test'), { code: 'ENOTFOUND' });
    // Other types of a name of the mesh too.
    await assert.rejects(resolver.resolveMx('cart.shop.svc.cluster.local'), { code: 'ENOTFOUND' });
    assert.ok(upstream.seen.includes('udp known.test 1'));
  });
  it('says that the servers fail where none answers', async () => {
    // A resolver that has not learnt yet how fast the server is, and waits as long as it was told.
    const patient = new Resolver({ timeout: 60_000, tries: 1 });
    patient.setServers([`127.0.0.1:${port}`]);
    await assert.rejects(patient.resolve4('silent.test'), { code: 'ESERVFAIL' });
    assert.match(counters.render(), /istio_agent_dns_upstream_failures_total 1\n/);
    assert.match(counters.render(), /istio_agent_dns_upstream_request_duration_seconds_bucket\{le="\+Inf"\} \d/);
  });
  it('cuts off what does not fit a datagram, and gives it whole over TCP', async () => {
    assert.equal((await resolver.resolve4('many.shop')).length, 100);
    assert.equal((await resolver.resolve4('cut.test')).length, 60);
    assert.ok(upstream.seen.includes('tcp cut.test 1'));
  });
  it('survives garbage', async () => {
    const socket = createSocket('udp4');
    for (const bytes of [
      [],
      [1, 2, 3],
      Array(12).fill(0xff),
      [0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0xc0, 12],
      [0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 63, 1],
    ])
      socket.send(Buffer.from(bytes), port, '127.0.0.1');
    const tcp = connect(port, '127.0.0.1');
    tcp.on('error', () => undefined);
    tcp.end(Buffer.from([0, 3, 1, 2, 3]));
    await new Promise((resolve) => tcp.on('close', resolve).resume());
    socket.close();
    assert.deepEqual(await resolver.resolve4('api.example.test'), ['240.240.0.1']);
  });
});

it('without EDNS an answer has 512 bytes at most', () => {
  const name = Buffer.from([4, 0x6d, 0x61, 0x6e, 0x79, 0]);
  const query = Buffer.concat([Buffer.from([0, 9, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]), name, Buffer.from([0, 1, 0, 1])]);
  const read = readQuestion(query);
  assert.equal(read.kind, 'question');
  if (read.kind !== 'question') return;
  assert.equal(read.question.name, 'many');
  const addresses = Array.from({ length: 100 }, (_, i) => `10.1.0.${i + 1}`);
  const udp = encodeAnswer(read.question, { addresses, ttl: 1 }, 'udp');
  assert.ok(udp.length <= 512 && (udp.readUInt16BE(2) & 0x0200) !== 0 && udp.readUInt16BE(6) === 30);
  const tcp = encodeAnswer(read.question, { addresses, ttl: 1 }, 'tcp');
  assert.ok(tcp.readUInt16BE(6) === 100 && (tcp.readUInt16BE(2) & 0x0200) === 0);
  assert.equal(encodeFailure(read.question, ResponseCode.serverFailure).readUInt16BE(2) & 0xf, 2);
});
