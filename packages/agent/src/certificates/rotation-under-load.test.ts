import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { connect, type TLSSocket } from 'node:tls';
import { createCsr, exportPrivateKey, generatePrivateKey } from '@istio-ts/security';
import { cleanups, eventually, freePort, http, skip, startAgent } from '../agent.test-support.ts';
import { mutualTlsListener, startFakeIstiod } from '../fake-istiod.test-support.ts';

/** Certificates that are renewed about once a second, while clients ask without pause. */
const ROTATIONS = 3;

test('renewed certificates cost no request and no connection', { skip }, async (context) => {
  const port = await freePort();
  const istiod = await startFakeIstiod([mutualTlsListener(port, true)], { ttlMs: 20_000 });
  cleanups.push(() => istiod.close());
  const agent = await startAgent(istiod, {
    SECRET_GRACE_PERIOD_RATIO: '0.95',
    SECRET_GRACE_PERIOD_RATIO_JITTER: '0.01',
  });
  await eventually(
    'ready',
    () => http(agent.ports.ready, '/healthz/ready'),
    ({ status }) => status === 200,
  );
  const key = generatePrivateKey();
  const { chain } = istiod.authority.sign({
    csr: createCsr(key, []),
    identity: { trustDomain: 'cluster.local', namespace: 'shop', serviceAccount: 'client' },
    now: new Date(),
  });
  const open = async (): Promise<TLSSocket> => {
    const socket = connect({
      host: '127.0.0.1',
      port,
      ca: istiod.authority.root,
      cert: chain,
      key: exportPrivateKey(key),
      checkServerIdentity: () => undefined,
    });
    await once(socket, 'secureConnect');
    return socket;
  };
  /** One request; rejects when the connection ends before the whole answer. */
  const ask = (socket: TLSSocket): Promise<void> =>
    new Promise((resolve, reject) => {
      let answer = '';
      const done = (error?: Error): void => {
        socket.removeAllListeners();
        if (error) reject(error);
        else resolve();
      };
      socket.on('data', (chunk) => {
        answer += chunk;
        if (answer.endsWith('hello')) done(answer.startsWith('HTTP/1.1 200') ? undefined : new Error(answer));
      });
      socket.on('error', done);
      socket.on('close', () => done(new Error('the connection was closed')));
      socket.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
    });
  const last = istiod.issued + ROTATIONS;
  const deadline = Date.now() + 180_000;
  const isOver = (): boolean => {
    assert.ok(Date.now() < deadline, `only ${istiod.issued} certificates were given`);
    return istiod.issued >= last;
  };
  const count = { kept: 0, fresh: 0 };
  const serials = new Set<string>();
  await Promise.all([
    // One connection, from the first certificate to the last.
    (async () => {
      const socket = await open();
      for (; !isOver(); count.kept++) await ask(socket);
      socket.destroy();
    })(),
    (async () => {
      for (; !isOver(); count.fresh++) {
        const socket = await open();
        serials.add(socket.getPeerX509Certificate()?.serialNumber ?? '');
        await ask(socket);
        socket.destroy();
      }
    })(),
  ]);
  context.diagnostic(
    `${ROTATIONS} renewals: ${count.kept} requests on one connection, ${count.fresh} on a new one each, none failed`,
  );
  assert.ok(serials.size >= ROTATIONS, `${serials.size} certificates were seen`);
  agent.process.kill('SIGTERM');
  assert.equal((await agent.exit).code, 0);
});
