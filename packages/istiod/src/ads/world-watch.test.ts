import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { XdsResource } from '@istio-ts/xds';
import { TypeUrl } from './resource-kinds.ts';
import { WorldWatch } from './world-watch.ts';

function world(versions: Readonly<Record<string, string>>): Map<string, XdsResource> {
  return new Map(
    Object.entries(versions).map(([name, version]) => [
      name,
      { typeUrl: 't', name, version, value: new Uint8Array(), json: () => ({}), origins: [] },
    ]),
  );
}

class Driver {
  readonly watch: WorldWatch;
  #nonce = 0;

  constructor(typeUrl: string) {
    this.watch = new WorldWatch(typeUrl);
  }

  receive(names: readonly string[], nonce = '', error?: string): string {
    return this.watch.receive({ names, nonce, error }, 1);
  }

  send(resources: Map<string, XdsResource>): string[] | undefined {
    const update = this.watch.take(resources, false);
    if (update === undefined) return undefined;
    this.watch.markSent(String(++this.#nonce), update, 1);
    return update.resources.map((resource) => resource.name);
  }

  ack(names: readonly string[] = [], error?: string): string {
    return this.receive(names, String(this.#nonce), error);
  }
}

describe('state-of-the-world protocol', () => {
  it('sends all clusters whenever one changes, and nothing otherwise', () => {
    const driver = new Driver(TypeUrl.cluster);
    driver.receive([]);
    assert.deepEqual(driver.send(world({ a: '1', b: '1' })), ['a', 'b']);
    assert.equal(driver.ack(), 'ack');
    driver.watch.markChanged();
    assert.equal(driver.send(world({ a: '1', b: '1' })), undefined);
    driver.watch.markChanged();
    assert.deepEqual(driver.send(world({ a: '1', b: '2' })), ['a', 'b']);
    driver.ack();
    driver.watch.markChanged();
    assert.deepEqual(driver.send(world({ a: '1' })), ['a']);
    driver.ack();
    driver.watch.markChanged();
    assert.deepEqual(driver.send(world({})), []);
  });

  it('sends only changed or new names of endpoints', () => {
    const driver = new Driver(TypeUrl.endpoint);
    driver.receive(['a']);
    assert.deepEqual(driver.send(world({ a: '1', b: '1' })), ['a']);
    assert.equal(driver.ack(['a']), 'ack');
    assert.equal(driver.receive(['a', 'b'], '1'), 'request');
    assert.deepEqual(driver.send(world({ a: '1', b: '1' })), ['b']);
    driver.ack(['a', 'b']);
    driver.watch.markChanged();
    assert.deepEqual(driver.send(world({ a: '2', b: '1' })), ['a']);
    driver.ack(['b']);
    driver.watch.markChanged();
    assert.equal(driver.send(world({ a: '3', b: '1' })), undefined);
  });

  it('answers a request for what does not exist', () => {
    const driver = new Driver(TypeUrl.endpoint);
    driver.receive(['a']);
    assert.deepEqual(driver.send(world({})), []);
  });

  it('asks nothing by an empty first request of a type that goes by names', () => {
    const driver = new Driver(TypeUrl.endpoint);
    driver.receive([]);
    assert.equal(driver.send(world({ a: '1' })), undefined);
    driver.receive(['a']);
    assert.deepEqual(driver.send(world({ a: '1' })), ['a']);
  });

  it('takes a repeated request for one only after new clusters', () => {
    const driver = new Driver(TypeUrl.endpoint);
    driver.receive(['a']);
    driver.send(world({ a: '1' }));
    driver.ack(['a']);
    driver.ack(['a']);
    assert.equal(driver.send(world({ a: '1' })), undefined);
    driver.watch.expectRepeat();
    driver.ack(['a']);
    assert.deepEqual(driver.send(world({ a: '1' })), ['a']);
  });

  it('ignores requests about earlier responses and remembers refusals', () => {
    const driver = new Driver(TypeUrl.listener);
    driver.receive([]);
    driver.send(world({ a: '1' }));
    driver.ack();
    driver.watch.markChanged();
    driver.send(world({ a: 'bad' }));
    assert.equal(driver.receive([], '1'), 'stale');
    assert.equal(driver.watch.outstanding, true);
    assert.equal(driver.ack([], 'broken'), 'nack');
    driver.watch.markChanged();
    assert.equal(driver.send(world({ a: 'bad' })), undefined);
    assert.equal(driver.watch.status().state, 'ERROR');
  });
});
