import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { describe, it } from 'node:test';
import { HostListeners } from './host-listeners.ts';

/** A process that answers its name and closes. */
function target(listeners: HostListeners, name: string) {
  const places: number[] = [];
  return {
    places,
    send({ port }: { readonly port: number }, connection: Socket) {
      places.push(port);
      connection.end(name, () => listeners.taken());
    },
  };
}

async function answer(port: number): Promise<string> {
  const socket = connect({ host: '127.0.0.1', port });
  let text = '';
  socket.on('data', (chunk) => {
    text += String(chunk);
  });
  await once(socket, 'close');
  return text;
}

describe('listening sockets of the host', () => {
  it('keep connections while the process that serves them is replaced', async () => {
    const listeners = new HostListeners();
    listeners.use(target(listeners, 'first'));
    const port = await listeners.listen('127.0.0.1', 0);
    assert.equal(await answer(port), 'first');
    listeners.use(undefined);
    const waiting = Promise.all([answer(port), answer(port), answer(port)]);
    const second = target(listeners, 'second');
    listeners.use(second);
    assert.equal(await listeners.listen('127.0.0.1', port), port);
    assert.deepEqual(await waiting, ['second', 'second', 'second']);
    assert.deepEqual(second.places, [port, port, port]);
    listeners.closeAll();
  });

  it('hand a connection on whose taker ended before it had it', async () => {
    const listeners = new HostListeners();
    let offered: () => void = () => {};
    const sent = new Promise<void>((resolve) => {
      offered = resolve;
    });
    listeners.use({ send: () => offered() });
    const port = await listeners.listen('127.0.0.1', 0);
    const waiting = answer(port);
    await sent;
    listeners.use(target(listeners, 'second'));
    await listeners.listen('127.0.0.1', port);
    assert.equal(await waiting, 'second');
    listeners.closeAll();
  });

  it('refuse an address twice, and are free again when closed', async () => {
    const listeners = new HostListeners();
    listeners.use(target(listeners, 'a'));
    const port = await listeners.listen('127.0.0.1', 0);
    await assert.rejects(listeners.listen('127.0.0.1', port), { code: 'EADDRINUSE' });
    listeners.close('127.0.0.1', port);
    assert.equal(await listeners.listen('127.0.0.1', port), port);
    listeners.closeAll();
  });

  it('are closed when the next process does not ask for them', async () => {
    const listeners = new HostListeners();
    listeners.use(target(listeners, 'a'));
    const port = await listeners.listen('127.0.0.1', 0);
    listeners.use(target(listeners, 'b'));
    listeners.closeUnclaimed();
    const socket = connect({ host: '127.0.0.1', port });
    const [error] = await once(socket, 'error');
    assert.equal(error.code, 'ECONNREFUSED');
  });
});
