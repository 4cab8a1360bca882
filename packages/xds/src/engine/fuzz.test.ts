import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Kind, kinds } from '@istio-ts/api/kinds';
import type { AnySchema } from '@istio-ts/api/schema/schema';
import { GOOD_SPECS } from '@istio-ts/api/test-specs';
import type { KubeObject } from '@istio-ts/kube/object';
import fc from 'fast-check';
import { application, istioObject } from '../testing/objects.ts';
import { generateOffline, type OfflineProxy, type OfflineResult } from './index.ts';

/**
 * Objects as nobody should write them: made from the schema of each kind, and good ones with a part put wrong. Whatever they are, the translation does
 * not fail, and a proxy that has nothing to do with them gets the same bytes as without them.
 */

const KINDS: readonly Kind[] = [
  'VirtualService',
  'DestinationRule',
  'Gateway',
  'ServiceEntry',
  'WorkloadEntry',
  'Sidecar',
  'EnvoyFilter',
  'PeerAuthentication',
  'RequestAuthentication',
  'AuthorizationPolicy',
  'Telemetry',
  'WasmPlugin',
  'TrafficExtension',
];

/** Texts that mean something somewhere, and some that should nowhere. */
const words = fc.constantFrom(
  'shop',
  'shop.hostile.svc.cluster.local',
  '*',
  '*.example.com',
  'example.com',
  'hostile/shop',
  './*',
  '*/*',
  '~',
  '.',
  'mesh',
  'edge',
  'v1',
  'http',
  'HTTP',
  'TLS',
  'TCP',
  '80',
  '0',
  '-1',
  '10.0.0.1',
  '10.0.0.0/8',
  '::1',
  '2s',
  '',
  ' ',
  '1.5s',
  'unix:///tmp/s',
  '%REQ(x)%',
  '(',
  '^a+$',
  '(a{1000}){1000}',
  'ÿ\u0000',
  '__proto__',
  'constructor',
  'a'.repeat(300),
);
const numbers = fc.constantFrom(0, 1, 80, 443, 15006, 65535, 65536, -1, 0.5, 1e12, 2 ** 31, Number.MAX_SAFE_INTEGER);
const anything: fc.Arbitrary<unknown> = fc.oneof(
  words,
  numbers,
  fc.constantFrom(true, false, null, {}, []),
  fc.dictionary(words, words, { maxKeys: 2 }),
  fc.array(words, { maxLength: 2 }),
);

function anyOf(schema: AnySchema, depth: number): fc.Arbitrary<unknown> {
  const { shape } = schema;
  switch (shape.kind) {
    case 'string':
      return shape.format === 'duration'
        ? fc.constantFrom('1s', '0s', '100ms', '1h', 'soon', '-1s', '99999999h')
        : words;
    case 'enum':
      return fc.constantFrom(...shape.values);
    case 'boolean':
      return fc.boolean();
    case 'integer':
    case 'number':
      return numbers;
    case 'list':
      return depth > 7 ? fc.constant([]) : fc.array(anyOf(shape.items, depth + 1), { maxLength: 2 });
    case 'map':
      return depth > 7 ? fc.constant({}) : fc.dictionary(words, anyOf(shape.values, depth + 1), { maxKeys: 2 });
    case 'struct':
      return fc.constantFrom({}, { name: 'x' }, { nonsense: 1 }, { connect_timeout: '1s' }, { routes: [{}] });
    case 'object': {
      if (depth > 7) return fc.constant({});
      const fields = Object.fromEntries(
        Object.entries(shape.fields).map(([name, field]) => [
          name,
          fc.option(anyOf(field, depth + 1), { nil: undefined }),
        ]),
      );
      return fc
        .record(fields)
        .map((value) => Object.fromEntries(Object.entries(value).filter(([, content]) => content !== undefined)));
    }
  }
}

/** A good spec with one part of it replaced. */
function broken(spec: unknown, path: readonly number[], part: unknown): unknown {
  if (typeof spec !== 'object' || spec === null) return part;
  const keys = Object.keys(spec);
  const [step, ...rest] = path;
  if (step === undefined || keys.length === 0) return part;
  const key = keys[step % keys.length] ?? '';
  const inner = broken((spec as Record<string, unknown>)[key], rest, part);
  if (Array.isArray(spec)) return spec.map((item, i) => (String(i) === key ? inner : item));
  return { ...spec, [key]: inner };
}

const object = (kind: string, spec: unknown, name = 'fuzz'): KubeObject =>
  istioObject(kind, { name, namespace: 'hostile' }, spec as Record<string, unknown>);

const specOf = (kind: Kind): fc.Arbitrary<unknown> => {
  const definition = kinds.find((one) => one.kind === kind);
  if (!definition) throw new Error(`there is no kind ${kind}`);
  return anyOf(definition.spec, 0);
};

const shopPort = { name: 'http', port: 80 };
const base = [
  ...application('shop', shopPort, [{}]),
  ...application('shop', shopPort, [{}], { namespace: 'hostile', base: 2 }),
  // It asks for nothing outside its namespace.
  istioObject('Sidecar', { name: 'own' }, { egress: [{ hosts: ['./*'] }] }),
];
const victim: OfflineProxy = { name: 'shop-0', namespace: 'default' };
const hostile: readonly OfflineProxy[] = [
  { name: 'shop-0', namespace: 'hostile', metadata: { ISTIO_VERSION: '1.30.0' } },
  { type: 'router', name: 'edge', namespace: 'hostile', labels: { istio: 'ingressgateway', app: 'edge' } },
];

const versionsOf = ({ resources }: OfflineResult): readonly string[] =>
  [...resources.values()].flatMap((list) => list.map(({ typeUrl, name, version }) => `${typeUrl} ${name} ${version}`));
const untouched = versionsOf(generateOffline(base, victim));

function check(objects: readonly KubeObject[]): void {
  const all = [...base, ...objects];
  assert.deepEqual(versionsOf(generateOffline(all, victim)), untouched);
  for (const proxy of hostile) {
    const { errors } = generateOffline(all, proxy);
    assert.deepEqual(
      errors.map(({ type, name, error }) => `${type} ${name}: ${String(error)}`),
      [],
    );
  }
}

const limits = { numRuns: 40, interruptAfterTimeLimit: 6000, markInterruptAsFailure: false };

describe('objects as nobody should write them', () => {
  for (const kind of KINDS)
    it(`${kind} made from its schema`, () => {
      fc.assert(
        fc.property(specOf(kind), (spec) => check([object(kind, spec)])),
        limits,
      );
    });

  it('good objects with a part put wrong', () => {
    const good = GOOD_SPECS.filter(([kind]) => (KINDS as readonly string[]).includes(kind));
    const mutated = fc
      .tuple(fc.constantFrom(...good), fc.array(fc.nat(20), { maxLength: 6 }), anything)
      .map(([[kind, spec], path, part]) => ({ kind, spec: broken(spec, path, part) }));
    fc.assert(
      fc.property(fc.array(mutated, { minLength: 1, maxLength: 4 }), (list) =>
        check(list.map(({ kind, spec }, i) => object(kind, spec, `fuzz-${i}`))),
      ),
      { ...limits, numRuns: 150, interruptAfterTimeLimit: 15_000 },
    );
  });
});
