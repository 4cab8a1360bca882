import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { XdsResource } from '@istio-ts/xds';
import type { DeltaRequest } from './delta-watch.ts';
import { HostWatch } from './host-watch.ts';

type Versions = Readonly<Record<string, string>>;

const tables = (routes: Readonly<Record<string, Versions>>): ReadonlyMap<string, ReadonlyMap<string, XdsResource>> =>
  new Map(
    Object.entries(routes).map(([name, hosts]) => [
      name,
      new Map(
        Object.entries(hosts).map(([host, version]) => [
          `${name}/${host}`,
          { typeUrl: 't', name: `${name}/${host}`, version, value: new Uint8Array(), json: () => ({}), origins: [] },
        ]),
      ),
    ]),
  );

/** Drives the watch as a session does. */
class Driver {
  readonly watch = new HostWatch();
  #nonce = 0;

  request(parts: Partial<DeltaRequest> = {}): string {
    return this.watch.receive(
      { nonce: '', error: undefined, subscribe: [], unsubscribe: [], initialVersions: {}, ...parts },
      1,
    );
  }

  /** Everything that may be sent now: names, those removed with a minus, the nonce in front. */
  send(state: ReturnType<typeof tables>): string[] {
    const lines: string[] = [];
    for (let update = this.watch.takeHosts(state); update; update = this.watch.takeHosts(state)) {
      this.watch.markSent(String(++this.#nonce), update, 1);
      lines.push(
        `${this.#nonce}: ${[...update.resources.map(({ name }) => name), ...update.removed.map((name) => `-${name}`)].join(' ')}`,
      );
    }
    return lines;
  }
}

describe('virtual hosts on a stream', () => {
  it('follow each route configuration at once, unasked', () => {
    const driver = new Driver();
    const state = tables({ 80: { a: '1', b: '1' }, 81: { c: '1' }, 82: { d: '1' } });
    driver.watch.routesSent('80', true);
    driver.watch.routesSent('81', true);
    assert.deepEqual(driver.send(state), ['1: 80/a 80/b', '2: 81/c']);
    assert.equal(driver.request(), 'first');
    assert.deepEqual(driver.send(state), []);
  });

  it('says that there are none by removing one that never was', () => {
    const driver = new Driver();
    driver.watch.routesSent('80', true);
    assert.deepEqual(driver.send(tables({ 80: {} })), ['1: -80/none']);
  });

  it('merge while a response of the same route configuration is unanswered; others do not wait', () => {
    const driver = new Driver();
    driver.watch.routesSent('80', true);
    driver.watch.routesSent('81', true);
    driver.send(tables({ 80: { a: '1' }, 81: { b: '1' } }));
    driver.request({ nonce: '1' });
    assert.deepEqual(driver.send(tables({ 80: { a: '1' }, 81: { b: '1' } })), []);
    for (const version of ['2', '3']) {
      driver.watch.markChanged();
      driver.send(tables({ 80: { a: version, new: version }, 81: { b: version } }));
    }
    assert.equal(driver.watch.due, true);
    assert.deepEqual(driver.send(tables({ 80: { a: '4' }, 81: { b: '4' } })), []);
    // Responses are digested in their order: that of the last one answers those before it.
    driver.request({ nonce: '3' });
    assert.deepEqual(driver.send(tables({ 80: { a: '4' }, 81: { b: '4' } })), ['4: 80/a -80/new', '5: 81/b']);
  });

  it('on a new stream go as far as they differ from what the client has', () => {
    const driver = new Driver();
    const state = tables({ 80: { a: '2', b: '1', d: '1' }, 81: { e: '1' } });
    driver.watch.resume('80');
    driver.watch.routesSent('81', true);
    assert.deepEqual(driver.send(state), ['1: 81/e'], 'what the client has is not known yet');
    driver.request({ initialVersions: { '80/a': '1', '80/b': '1', '80/c': '1', '81/x': '1' } });
    assert.deepEqual(driver.send(state), ['2: 80/a 80/d -80/c']);
  });

  it('go in full to a client that got its routes whole before and does not ask', () => {
    const driver = new Driver();
    driver.watch.resume('80');
    const state = tables({ 80: { a: '1' } });
    driver.watch.routesSent('80', false);
    assert.deepEqual(driver.send(state), []);
    driver.watch.routesTaken();
    assert.deepEqual(driver.send(state), ['1: 80/a']);
  });

  it('that are refused for one of them go again without it', () => {
    const driver = new Driver();
    driver.watch.routesSent('80', true);
    const state = tables({ 80: { good: '1', bad: '1' } });
    driver.send(state);
    assert.equal(driver.request({ nonce: '1', error: 'host 80/bad: no such thing' }), 'nack');
    assert.deepEqual(
      driver.watch.rejection?.offenders.map(({ name }) => name),
      ['80/bad'],
    );
    assert.deepEqual(driver.send(state), ['2: 80/good']);
    driver.request({ nonce: '2' });
    driver.watch.markChanged();
    assert.deepEqual(driver.send(state), []);
    driver.watch.markChanged();
    assert.deepEqual(driver.send(tables({ 80: { good: '1', bad: '2' } })), ['3: 80/bad']);
  });

  it('start anew when the client asks anew, and end when it asks no longer', () => {
    const driver = new Driver();
    const state = tables({ 80: { a: '1' } });
    driver.watch.routesSent('80', true);
    driver.send(state);
    driver.request({ nonce: '1' });
    driver.watch.keepOnly(() => false);
    driver.watch.markChanged();
    assert.deepEqual(driver.send(tables({ 80: { a: '2' } })), []);
    driver.watch.routesSent('80', true);
    assert.deepEqual(driver.send(state), ['2: 80/a']);
  });
});
