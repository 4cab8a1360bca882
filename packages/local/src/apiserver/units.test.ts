import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { PassThrough } from 'node:stream';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { evaluateCel, toCel } from './cel/environment.ts';
import { Quantity } from './cel/quantity.ts';
import { difference, type FieldSet, insert, intersection, paths, union } from './fields/field-set.ts';
import { compare, merge } from './fields/typed.ts';
import { clone, equal, type JsonObject } from './json.ts';
import type { ApiObject } from './object.ts';
import { decodeProtobuf } from './schema/wire.ts';
import type { Schema } from './schema/schema.ts';
import { matchesRequirements, parseLabelSelector } from './selectors.ts';
import { SpdyConnection } from './streaming/spdy.ts';
import { HeaderCodec } from './streaming/spdy-headers.ts';
import { duration } from './tables/columns.ts';
import { evaluate, parseJsonPath } from './tables/json-path.ts';
import { podReady, podStatus } from './tables/pod-status.ts';

const setOf = (list: readonly string[][]): FieldSet => {
  const set: FieldSet = {};
  for (const path of list) insert(set, path);
  return set;
};

describe('field sets', () => {
  const path = fc.array(fc.constantFrom('f:a', 'f:b', 'f:c'), { minLength: 1, maxLength: 3 });
  const text = (set: FieldSet) =>
    paths(set)
      .map((item) => item.join())
      .sort();

  it('behave as sets of paths', () => {
    fc.assert(
      fc.property(fc.array(path, { maxLength: 8 }), fc.array(path, { maxLength: 8 }), (left, right) => {
        const names = (list: readonly string[][]) => new Set(list.map((item) => item.join()));
        const [a, b] = [names(left), names(right)];
        assert.deepEqual(text(union(setOf(left), setOf(right))), [...new Set([...a, ...b])].sort());
        assert.deepEqual(text(intersection(setOf(left), setOf(right))), [...a].filter((item) => b.has(item)).sort());
        assert.deepEqual(text(difference(setOf(left), setOf(right))), [...a].filter((item) => !b.has(item)).sort());
      }),
    );
  });
});

describe('structured merge', () => {
  const schema: Schema = {
    type: 'object',
    properties: {
      list: {
        type: 'array',
        'x-kubernetes-list-type': 'map',
        'x-kubernetes-list-map-keys': ['name'],
        items: { type: 'object', properties: { name: { type: 'string' }, value: { type: 'integer' } } },
      },
    },
  };
  const items = fc.uniqueArray(fc.record({ name: fc.constantFrom('a', 'b', 'c', 'd'), value: fc.integer() }), {
    selector: (item) => item.name,
  });

  it('contains everything the applier names, and all others', () => {
    fc.assert(
      fc.property(items, items, (live, config) => {
        const merged = (merge({ list: live }, { list: config }, schema) as { list: { name: string; value: number }[] })
          .list;
        for (const item of config) assert.ok(merged.some((one) => equal(one, item)));
        assert.deepEqual(
          new Set(merged.map((item) => item.name)),
          new Set([...live, ...config].map((item) => item.name)),
        );
        assert.equal(merged.length, new Set(merged.map((item) => item.name)).size);
      }),
    );
  });

  it('finds no difference between equal objects', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        // Bodies with such a field are refused before they get here.
        fc.pre(!JSON.stringify(value).includes('__proto__'));
        const object: JsonObject = { value: value as unknown };
        assert.deepEqual(compare(object, clone(object), undefined), { changed: {}, removed: {} });
      }),
    );
  });
});

describe('label selectors', () => {
  it('are read as kubectl writes them', () => {
    const matches = (selector: string, labels: Record<string, string>) =>
      matchesRequirements(labels, parseLabelSelector(selector));
    assert.ok(matches('a=b,c!=d,e in (x, y),!f', { a: 'b', e: 'x' }));
    assert.ok(matches('a==b', { a: 'b' }));
    assert.ok(!matches('e notin (x),e', { e: 'x' }));
    assert.ok(!matches('constructor', {}));
    assert.throws(() => parseLabelSelector('a=(b'));
  });
});

describe('quantities', () => {
  it('compare exactly', () => {
    const compareText = (a: string, b: string) => Quantity.parse(a).compare(Quantity.parse(b));
    assert.equal(compareText('1Gi', '1073741824'), 0);
    assert.equal(compareText('1500m', '1.5'), 0);
    assert.equal(compareText('1G', '1Gi'), -1);
    assert.equal(compareText('1e3', '1k'), 0);
    assert.throws(() => Quantity.parse('1 Gi'));
  });
});

describe('expressions', () => {
  it('have the functions that Kubernetes adds', () => {
    const table: [string, unknown][] = [
      ["url('https://a:81/b?c=d').getHost()", 'a:81'],
      ["isURL('a b')", false],
      ["'a1b22'.findAll('[0-9]+').size() == 2", true],
      ['[3, 1, 2].max()', 3n],
      ['[1, 2, 3].sum()', 6n],
      ['[1, 3, 2].isSorted()', false],
      ["quantity('50k').isGreaterThan(quantity('49999'))", true],
      ["'%s has %d'.format(['a', 2])", 'a has 2'],
      ['sets.contains([1, 2], [2])', true],
      ["cidr('10.0.0.0/8').containsIP('10.3.4.5')", true],
      ["'matches(x)' + string('ab'.matches('^a'))", 'matches(x)true'],
    ];
    for (const [expression, expected] of table) assert.deepEqual(evaluateCel(expression, {}), expected, expression);
  });

  it('run regular expressions in linear time', () => {
    assert.equal(evaluateCel("self.matches('^(a+)+$')", { self: `${'a'.repeat(5000)}b` }), false);
    assert.throws(() => evaluateCel("'a'.matches('(?=a)')", {}));
  });

  it('reach fields with reserved names', () => {
    const self = toCel({ namespace: 'x', 'a-b': 1 });
    assert.equal(evaluateCel("self.__namespace__ == 'x' && self.a__dash__b == 1 && size(self) == 2", { self }), true);
  });
});

describe('ages', () => {
  it('are written as kubectl writes them', () => {
    const shown = [5, 119, 121, 599, 660, 10_800, 30_000, 200_000, 1_000_000].map((seconds) =>
      duration(seconds * 1000),
    );
    assert.deepEqual(shown, ['5s', '119s', '2m1s', '9m59s', '11m', '3h', '8h', '2d7h', '11d']);
  });
});

describe('the status of a pod', () => {
  const pod = (spec: object, status: object, deleted = false): ApiObject =>
    ({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'p', ...(deleted ? { deletionTimestamp: '2026-01-01T00:00:00Z' } : {}) },
      spec,
      status,
    }) as unknown as ApiObject;
  const app = [{ name: 'app' }];
  const running = { name: 'app', ready: true, state: { running: {} } };

  it('tells what its containers do', () => {
    const sidecar = { name: 'proxy', restartPolicy: 'Always' };
    const cases: [object, object, string, string][] = [
      [{ containers: app }, { phase: 'Pending' }, 'Pending', '0/1'],
      [{ containers: app }, { phase: 'Running', containerStatuses: [running] }, 'Running', '1/1'],
      [
        { containers: app },
        {
          phase: 'Running',
          containerStatuses: [{ name: 'app', ready: false, state: { waiting: { reason: 'CrashLoopBackOff' } } }],
        },
        'CrashLoopBackOff',
        '0/1',
      ],
      [
        { containers: app },
        {
          phase: 'Failed',
          containerStatuses: [{ name: 'app', state: { terminated: { reason: 'Error', exitCode: 1 } } }],
        },
        'Error',
        '0/1',
      ],
      [
        { containers: app, initContainers: [{ name: 'i' }] },
        {
          phase: 'Pending',
          initContainerStatuses: [{ name: 'i', state: { running: {} } }],
          containerStatuses: [{ name: 'app', state: { waiting: { reason: 'PodInitializing' } } }],
        },
        'Init:0/1',
        '0/1',
      ],
      [
        { containers: app, initContainers: [{ name: 'i' }] },
        {
          phase: 'Pending',
          initContainerStatuses: [{ name: 'i', state: { waiting: { reason: 'CrashLoopBackOff' } } }],
        },
        'Init:CrashLoopBackOff',
        '0/1',
      ],
      [
        { containers: app, initContainers: [sidecar] },
        {
          phase: 'Running',
          initContainerStatuses: [{ name: 'proxy', ready: true, started: true, state: { running: {} } }],
          containerStatuses: [running],
        },
        'Running',
        '2/2',
      ],
    ];
    for (const [spec, status, text, ready] of cases)
      assert.deepEqual([podStatus(pod(spec, status)), podReady(pod(spec, status))], [text, ready]);
    assert.equal(
      podStatus(pod({ containers: app }, { phase: 'Running', containerStatuses: [running] }, true)),
      'Terminating',
    );
  });
});

describe('JSONPath of printer columns', () => {
  it('finds values', () => {
    const value = {
      a: {
        'b.c': [
          { type: 'Ready', status: 'True' },
          { type: 'Other', status: 'False' },
        ],
      },
    };
    const found = (path: string) => evaluate(value, parseJsonPath(path) ?? []);
    assert.deepEqual(found(".a['b.c'][0].status"), ['True']);
    assert.deepEqual(found('.a.b\\.c[?(@.type=="Other")].status'), ['False']);
    assert.deepEqual(found('.a.b\\.c[*].type'), ['Ready', 'Other']);
    assert.equal(parseJsonPath('.a['), undefined);
  });
});

describe('parsers of what comes from outside', () => {
  it('refuse bad protobuf with an error, whatever it is', () => {
    const start = Buffer.from('k8s\0');
    const known = Buffer.concat([
      start,
      Buffer.from([0x0a, 0x09, 0x0a, 0x02]),
      Buffer.from('v1'),
      Buffer.from([0x12, 0x03]),
      Buffer.from('Pod'),
      Buffer.from([0x12]),
    ]);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.boolean(), (bytes, named) => {
        const body = named ? Buffer.concat([known, Buffer.from([bytes.length]), bytes]) : Buffer.concat([start, bytes]);
        try {
          decodeProtobuf(body);
        } catch (error) {
          assert.equal((error as Error).name, 'ApiError');
        }
      }),
      { numRuns: 2000 },
    );
  });

  it('close a SPDY connection that sends nonsense', async () => {
    for (let round = 0; round < 50; round += 1) {
      const socket = new PassThrough();
      const closed = new Promise((resolve) => socket.once('close', resolve));
      new SpdyConnection(socket, randomBytes(64), () => {});
      socket.end(randomBytes(4096));
      await closed;
    }
  });

  it('read the header blocks that they write', async () => {
    const codec = new HeaderCodec();
    const headers = new Map([
      ['streamtype', 'data'],
      ['port', '8080'],
      ['requestid', '0'],
    ]);
    for (let round = 0; round < 3; round += 1)
      assert.deepEqual(await codec.decode(await codec.encode(headers)), headers);
    await assert.rejects(codec.decode(randomBytes(32)));
    codec.close();
  });
});
