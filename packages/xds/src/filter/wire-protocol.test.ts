import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { connect } from 'node:net';
import { after, before, test } from 'node:test';
import { eventually } from '../testing/envoy.ts';
import { istioObject } from '../testing/objects.ts';
import {
  LoopbackNet,
  loopbackApp,
  type OfflineEnvoy,
  ORIGIN_PORT,
  startOfflineEnvoy,
} from '../testing/offline-envoy.ts';

/** Clients of Redis talk to a real server through a real Envoy. */

const net = new LoopbackNet();
let server: string | undefined;
try {
  server = execFileSync('sh', ['-c', 'command -v redis-server'], { encoding: 'utf8' }).trim();
} catch {
  server = undefined;
}
const options = { skip: server === undefined ? 'there is no redis-server' : false };
const redis: ChildProcess[] = [];
let bytes: OfflineEnvoy | undefined;
let commands: OfflineEnvoy | undefined;

/** Sends commands on one connection and gives the answers, as text. */
const talk = (address: string, lines: readonly string[], end: RegExp): Promise<string> =>
  new Promise((resolve, reject) => {
    const socket = connect({ host: address, port: 6379 });
    let text = '';
    socket.setTimeout(30_000, () => reject(new Error(`no answer: ${text}`)));
    socket.on('error', reject);
    socket.on('close', () => resolve(text));
    socket.on('data', (data: Buffer) => {
      text += data.toString();
      if (end.test(text)) socket.destroy();
    });
    for (const line of lines) {
      const words = line.split(' ');
      socket.write(`*${words.length}\r\n${words.map((word) => `$${word.length}\r\n${word}\r\n`).join('')}`);
    }
  });

const second = new LoopbackNet();

before(async () => {
  if (server === undefined) return;
  for (const last of [2, 4])
    redis.push(
      spawn(
        server,
        [
          '--port',
          String(ORIGIN_PORT),
          '--bind',
          net.ip(last),
          '--save',
          '',
          '--appendonly',
          'no',
          '--protected-mode',
          'no',
        ],
        { stdio: 'ignore', cwd: '/tmp' },
      ),
    );
  const objects = (at: LoopbackNet) =>
    loopbackApp(net, 'store', { last: 3, port: 6379, protocol: 'redis' }, [{ last: 2 }, { last: 4 }]).map((one) =>
      one.kind === 'Service'
        ? { ...one, spec: { ...(one.spec as object), clusterIP: at.ip(3), clusterIPs: [at.ip(3)] } }
        : one,
    );
  // The filter chooses servers by the key of a command where the cluster hashes.
  const byKey = istioObject(
    'DestinationRule',
    { name: 'store' },
    {
      host: 'store.default.svc.cluster.local',
      trafficPolicy: { loadBalancer: { consistentHash: { useSourceIp: true } } },
    },
  );
  const proxy = { name: 'client', namespace: 'default', ipAddress: '127.0.0.1' };
  bytes = await startOfflineEnvoy({ net, proxy, objects: objects(net) });
  commands = await startOfflineEnvoy({
    net: second,
    proxy,
    objects: [...objects(second), byKey],
    mesh: { wireFilters: ['Mongo', 'Redis'] },
  });
});
after(async () => {
  await bytes?.stop();
  await commands?.stop();
  for (const one of redis) one.kill();
});

const answers = (address: string, lines: readonly string[], wanted: RegExp): Promise<string> =>
  eventually(async () => {
    const text = await talk(address, lines, wanted).catch(() => '');
    return wanted.test(text) ? text : undefined;
  }, `${wanted} from ${address}`);

test('without the filter a connection is one to one server, in every word', options, async () => {
  await answers(net.ip(3), ['CLIENT SETNAME me', 'CLIENT GETNAME'], /^\+OK\r\n\$2\r\nme\r\n/);
});

test('with the filter each key has its server, and commands are counted', options, async () => {
  for (const key of ['a', 'b', 'c', 'd'])
    await answers(second.ip(3), [`SET ${key} green`, `GET ${key}`], /^\+OK\r\n\$5\r\ngreen\r\n/);
  const stats = (await commands?.admin('/stats?filter=redis')) ?? '';
  assert.match(stats, /command\.set\.total: [1-9]/);
  assert.match(stats, /command\.get\.success: [1-9]/);
  assert.doesNotMatch((await bytes?.admin('/stats?filter=redis')) ?? '', /command/);
});
