import assert from 'node:assert/strict';
import { request } from 'node:http';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { configMap, eventually, startTestServer, type TestServer } from './test-support.ts';

const CONFIG_MAPS = '/api/v1/namespaces/default/configmaps';
const MERGE = { 'content-type': 'application/merge-patch+json' };

interface Event {
  readonly type: string;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into objects freely
  readonly object: any;
}

describe('watches', () => {
  let server: TestServer;
  before(async () => {
    server = await startTestServer();
  });
  after(() => server.close());

  const watch = (query: string, headers: Record<string, string> = {}) => {
    const events: Event[] = [];
    const state = { ended: false };
    let pending = '';
    const call = request(
      {
        socketPath: join(server.directory, 'api.sock'),
        path: `${CONFIG_MAPS}?watch=true&${query}`,
        headers,
        agent: false,
      },
      (response) => {
        response.on('data', (chunk) => {
          const lines = (pending + String(chunk)).split('\n');
          pending = lines.pop() ?? '';
          for (const line of lines) events.push(JSON.parse(line) as Event);
        });
        response.on('end', () => {
          state.ended = true;
        });
      },
    );
    call.on('error', () => {});
    call.end();
    const seen = () =>
      events.map((event) => `${event.type} ${event.object.metadata?.name ?? event.object.reason ?? ''}`.trim());
    return {
      events,
      state,
      seen,
      stop: () => call.destroy(),
      until: (text: string) =>
        eventually(
          async () => seen(),
          (list) => list.includes(text),
        ),
    };
  };
  const revision = async (): Promise<string> => (await server.call('GET', CONFIG_MAPS)).body.metadata.resourceVersion;

  it('report what happens after a list, in order', async () => {
    const watching = watch(`resourceVersion=${await revision()}`);
    await server.call('POST', CONFIG_MAPS, configMap('ordered'));
    await server.call('PATCH', `${CONFIG_MAPS}/ordered`, { data: { a: '1' } }, MERGE);
    await server.call('DELETE', `${CONFIG_MAPS}/ordered`);
    await watching.until('DELETED ordered');
    assert.deepEqual(watching.seen(), ['ADDED ordered', 'MODIFIED ordered', 'DELETED ordered']);
    const versions = watching.events.map((event) => Number(event.object.metadata.resourceVersion));
    assert.deepEqual(
      versions,
      [...versions].sort((a, b) => a - b),
    );
    watching.stop();
  });

  it('catch up on what was missed', async () => {
    const from = await revision();
    await server.call('POST', CONFIG_MAPS, configMap('missed'));
    const watching = watch(`resourceVersion=${from}`);
    await watching.until('ADDED missed');
    assert.deepEqual(watching.seen(), ['ADDED missed']);
    watching.stop();
  });

  it('see objects enter and leave a selection', async () => {
    await server.call('POST', CONFIG_MAPS, configMap('moving'));
    const watching = watch(`labelSelector=in%3Dyes&resourceVersion=${await revision()}`);
    await server.call('PATCH', `${CONFIG_MAPS}/moving`, { metadata: { labels: { in: 'yes' } } }, MERGE);
    await server.call('PATCH', `${CONFIG_MAPS}/moving`, { data: { a: '1' } }, MERGE);
    await server.call('PATCH', `${CONFIG_MAPS}/moving`, { metadata: { labels: { in: 'no' } } }, MERGE);
    await watching.until('DELETED moving');
    assert.deepEqual(watching.seen(), ['ADDED moving', 'MODIFIED moving', 'DELETED moving']);
    watching.stop();
  });

  it('start with the present state, and mark its end', async () => {
    await server.call('POST', CONFIG_MAPS, configMap('present'));
    const watching = watch('sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true');
    await eventually(
      async () => watching.events,
      (events) => events.some((event) => event.type === 'BOOKMARK'),
    );
    assert.ok(watching.seen().includes('ADDED present'));
    const last = watching.events.at(-1)?.object.metadata;
    assert.deepEqual(last.annotations, { 'k8s.io/initial-events-end': 'true' });
    assert.equal(last.resourceVersion, await revision());
    watching.stop();
  });

  it('send tables and metadata to who asks for them', async () => {
    const table = watch('fieldSelector=metadata.name%3Dpresent', {
      accept: 'application/json;as=Table;v=v1;g=meta.k8s.io',
    });
    const partial = watch('fieldSelector=metadata.name%3Dpresent', {
      accept: 'application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io',
    });
    await eventually(
      async () => [...table.events, ...partial.events],
      (events) => events.length === 2,
    );
    assert.equal(table.events[0]?.object.rows[0].cells[0], 'present');
    assert.deepEqual(Object.keys(partial.events[0]?.object).sort(), ['apiVersion', 'kind', 'metadata']);
    table.stop();
    partial.stop();
  });

  it('end after the time that was asked for', async () => {
    const watching = watch('timeoutSeconds=1');
    await eventually(
      async () => watching.state.ended,
      (ended) => ended,
    );
  });

  it('tell when a revision is too old', async () => {
    const old = await revision();
    for (let round = 0; round < 1010; round += 1)
      await server.call('PATCH', `${CONFIG_MAPS}/present`, { data: { round: String(round) } }, MERGE);
    const watching = watch(`resourceVersion=${old}`);
    await eventually(
      async () => watching.state.ended,
      (ended) => ended,
    );
    assert.equal(watching.events[0]?.type, 'ERROR');
    assert.deepEqual([watching.events[0]?.object.code, watching.events[0]?.object.reason], [410, 'Expired']);
    await server.restart();
    const after = watch(`resourceVersion=${await revision()}`);
    await server.call('POST', CONFIG_MAPS, configMap('after-restart'));
    await after.until('ADDED after-restart');
    after.stop();
  });
});
