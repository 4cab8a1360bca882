import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { XdsResource } from '@istio-ts/xds';
import { type DeltaRequest, DeltaWatch } from './delta-watch.ts';
import { TypeUrl } from './resource-kinds.ts';

function world(versions: Readonly<Record<string, string>>): Map<string, XdsResource> {
  return new Map(
    Object.entries(versions).map(([name, version]) => [
      name,
      { typeUrl: 't', name, version, value: new Uint8Array(), json: () => ({}), origins: [] },
    ]),
  );
}

function request(parts: Partial<DeltaRequest> = {}): DeltaRequest {
  return { nonce: '', error: undefined, subscribe: [], unsubscribe: [], initialVersions: {}, ...parts };
}

/** Drives a watch as a session does and answers what was sent. */
class Driver {
  readonly watch: DeltaWatch;
  #nonce = 0;

  constructor(typeUrl: string) {
    this.watch = new DeltaWatch(typeUrl);
  }

  receive(parts: Partial<DeltaRequest> = {}): string {
    return this.watch.receive(request(parts), 1);
  }

  send(resources: Map<string, XdsResource>, hold = false): { sent: string[]; removed: string[] } | undefined {
    const update = this.watch.take(resources, hold);
    if (update === undefined) return undefined;
    this.watch.markSent(String(++this.#nonce), update, 1);
    return { sent: update.resources.map((resource) => resource.name), removed: [...update.removed] };
  }

  ack(error?: string): string {
    return this.receive({ nonce: String(this.#nonce), error });
  }

  change(): void {
    this.watch.markChanged();
  }
}

describe('incremental protocol', () => {
  it('sends a wildcard everything once and then what differs', () => {
    const driver = new Driver(TypeUrl.cluster);
    assert.equal(driver.receive(), 'first');
    assert.deepEqual(driver.send(world({ a: '1', b: '1' })), { sent: ['a', 'b'], removed: [] });
    assert.equal(driver.ack(), 'ack');
    assert.equal(driver.send(world({ a: '1', b: '1' })), undefined);
    driver.change();
    assert.deepEqual(driver.send(world({ a: '1', b: '2', c: '1' })), { sent: ['b', 'c'], removed: [] });
    driver.ack();
    driver.change();
    assert.deepEqual(driver.send(world({ b: '2', c: '1' })), { sent: [], removed: ['a'] });
  });

  it('answers an empty wildcard, for the client waits', () => {
    const driver = new Driver(TypeUrl.listener);
    driver.receive();
    assert.deepEqual(driver.send(world({})), { sent: [], removed: [] });
  });

  it('holds everything while a response is unanswered and merges it', () => {
    const driver = new Driver(TypeUrl.cluster);
    driver.receive();
    driver.send(world({ a: '1' }));
    for (const version of ['2', '3', '4']) {
      driver.change();
      assert.equal(driver.send(world({ a: version })), undefined);
    }
    driver.ack();
    assert.deepEqual(driver.send(world({ a: '4' })), { sent: ['a'], removed: [] });
  });

  it('sends after a reconnect only what the client does not have', () => {
    const driver = new Driver(TypeUrl.cluster);
    driver.receive({ initialVersions: { a: '1', b: '1', gone: '1' }, nonce: 'of the old stream' });
    assert.deepEqual(driver.send(world({ a: '1', b: '2', c: '1' })), { sent: ['b', 'c'], removed: ['gone'] });
  });

  it('keeps to names, and sends one again that is asked for again', () => {
    const driver = new Driver(TypeUrl.endpoint);
    driver.receive({ subscribe: ['a'] });
    const all = world({ a: '1', b: '1' });
    assert.deepEqual(driver.send(all), { sent: ['a'], removed: [] });
    driver.ack();
    driver.receive({ subscribe: ['b'] });
    assert.deepEqual(driver.send(all), { sent: ['b'], removed: [] });
    driver.ack();
    driver.receive({ subscribe: ['a'] });
    assert.deepEqual(driver.send(all), { sent: ['a'], removed: [] });
    driver.ack();
    driver.receive({ unsubscribe: ['a'] });
    driver.change();
    assert.equal(driver.send(world({ a: '2', b: '1' })), undefined);
    driver.receive({ subscribe: ['a'] });
    assert.deepEqual(driver.send(world({ a: '2', b: '1' })), { sent: ['a'], removed: [] });
  });

  it('says once that a name does not exist, and sends it when it does', () => {
    const driver = new Driver(TypeUrl.endpoint);
    driver.receive({ subscribe: ['a'] });
    assert.deepEqual(driver.send(world({})), { sent: [], removed: ['a'] });
    driver.ack();
    driver.change();
    assert.equal(driver.send(world({})), undefined);
    driver.change();
    assert.deepEqual(driver.send(world({ a: '1' })), { sent: ['a'], removed: [] });
    driver.ack();
    driver.change();
    assert.deepEqual(driver.send(world({})), { sent: [], removed: ['a'] });
  });

  it('does not repeat what was refused until it changes', () => {
    const driver = new Driver(TypeUrl.listener);
    driver.receive();
    driver.send(world({ a: 'bad' }));
    assert.equal(driver.ack('no such filter'), 'nack');
    assert.equal(driver.watch.status().state, 'ERROR');
    assert.deepEqual(driver.watch.rejection?.resources, ['a']);
    driver.change();
    assert.equal(driver.send(world({ a: 'bad' })), undefined);
    driver.change();
    assert.deepEqual(driver.send(world({ a: 'good' })), { sent: ['a'], removed: [] });
    driver.ack();
    assert.equal(driver.watch.status().state, 'SYNCED');
  });

  it('takes names from a request with an old nonce but no answer', () => {
    const driver = new Driver(TypeUrl.endpoint);
    driver.receive({ subscribe: ['a'] });
    driver.send(world({ a: '1', b: '1' }));
    assert.equal(driver.receive({ nonce: 'old', subscribe: ['b'] }), 'stale');
    assert.equal(driver.watch.outstanding, true);
    driver.ack();
    assert.deepEqual(driver.send(world({ a: '1', b: '1' })), { sent: ['b'], removed: [] });
  });

  it('keeps removals back while they are held', () => {
    const driver = new Driver(TypeUrl.cluster);
    driver.receive();
    driver.send(world({ a: '1' }));
    driver.ack();
    driver.change();
    assert.deepEqual(driver.send(world({ b: '1' }), true), { sent: ['b'], removed: [] });
    assert.equal(driver.watch.due, true);
    driver.ack();
    assert.equal(driver.send(world({ b: '1' }), true), undefined);
    assert.deepEqual(driver.send(world({ b: '1' })), { sent: [], removed: ['a'] });
    assert.equal(driver.watch.due, false);
  });

  it('can name the wildcard and leave it again', () => {
    const driver = new Driver(TypeUrl.cluster);
    driver.receive({ subscribe: ['*', 'a'] });
    driver.send(world({ a: '1', b: '1' }));
    driver.ack();
    driver.receive({ unsubscribe: ['*'] });
    driver.change();
    assert.deepEqual(driver.send(world({ a: '2', b: '2' })), { sent: ['a'], removed: [] });
  });
});
