import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { createFileRegistry, fromBinary, fromJson, type JsonValue, toBinary, toJson } from '@bufbuild/protobuf';
import { type DescriptorProto, FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { jsonName } from './field-name.ts';
import type { Cluster, DecodeError, HttpConnectionManager, Listener, RouteConfiguration, TypedAny } from './index.ts';
import {
  decode,
  decodeUnchecked,
  EncodeError,
  encode,
  encodeAny,
  encodeUnchecked,
  type FieldType,
  registry,
  toCanonicalJson,
  typedAny,
} from './index.ts';

const descriptors = fromBinary(
  FileDescriptorSetSchema,
  readFileSync(new URL('../generated/descriptors.binpb', import.meta.url)),
);
// The binary's descriptors leave JSON names out; protobuf-es wants them.
function nameFields(message: DescriptorProto): void {
  for (const field of message.field) field.jsonName = jsonName(field);
  message.nestedType.forEach(nameFields);
}
for (const file of descriptors.file) file.messageType.forEach(nameFields);
const oracle = createFileRegistry(descriptors);

function oracleMessage(typeName: string) {
  const type = oracle.getMessage(typeName);
  assert.ok(type, typeName);
  return type;
}

const listener: Listener = {
  name: '0.0.0.0_80',
  address: { socketAddress: { address: '0.0.0.0', portValue: 80 } },
  bindToPort: false,
  listenerFiltersTimeout: '0.5s',
  trafficDirection: 'OUTBOUND',
  metadata: { filterMetadata: { istio: { a: [1, null, { b: true }], text: 'é' } } },
  filterChains: [
    {
      filters: [
        {
          name: 'envoy.filters.network.http_connection_manager',
          typedConfig: typedAny('envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager', {
            statPrefix: 'outbound_0.0.0.0_80',
            rds: { configSource: { ads: {}, resourceApiVersion: 'V3' }, routeConfigName: '80' },
            useRemoteAddress: false,
            streamIdleTimeout: '0s',
            httpFilters: [
              {
                name: 'envoy.filters.http.router',
                typedConfig: typedAny('envoy.extensions.filters.http.router.v3.Router', {}),
              },
            ],
          }),
        },
      ],
    },
  ],
};

const cluster: Cluster = {
  name: 'outbound|80||a.b.svc.cluster.local',
  type: 'EDS',
  edsClusterConfig: { edsConfig: { ads: {}, resourceApiVersion: 'V3' } },
  connectTimeout: '10s',
  circuitBreakers: { thresholds: [{ maxConnections: 4294967295, maxRetries: 3 }] },
  typedExtensionProtocolOptions: {
    'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': typedAny(
      'envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
      { useDownstreamProtocolConfig: { httpProtocolOptions: {}, http2ProtocolOptions: {} } },
    ),
  },
};

const routes: RouteConfiguration = {
  name: '80',
  virtualHosts: [
    {
      name: 'all',
      domains: ['*', 'ümlaut.example'],
      routes: [
        {
          match: { safeRegex: { regex: 'a.*' }, caseSensitive: false },
          route: {
            weightedClusters: { clusters: [{ name: 'a', weight: 0 }], totalWeight: 100 },
            timeout: '-0.000000001s',
          },
        },
      ],
    },
  ],
  maxDirectResponseBodySizeBytes: 0,
};

describe('encoding', () => {
  for (const [typeName, message] of [
    ['envoy.config.listener.v3.Listener', listener],
    ['envoy.config.cluster.v3.Cluster', cluster],
    ['envoy.config.route.v3.RouteConfiguration', routes],
  ] as const) {
    it(`gives the bytes that protobuf-es gives for ${typeName}`, () => {
      const type = oracleMessage(typeName);
      const expected = toBinary(type, fromJson(type, message as JsonValue, { registry: oracle }));
      assert.deepEqual(encodeUnchecked(typeName, message), Buffer.from(expected));
    });
  }

  it('gives equal bytes for equal objects whatever the order of their keys', () => {
    const one = encodeAny({
      '@type': 'type.googleapis.com/google.protobuf.Struct',
      value: { b: 1, a: { y: 1, x: 2 } },
    } as never);
    const two = encodeAny({
      value: { a: { x: 2, y: 1 }, b: 1 },
      '@type': 'type.googleapis.com/google.protobuf.Struct',
    } as never);
    assert.deepEqual(one, two);
    assert.deepEqual(
      encode('envoy.config.cluster.v3.Cluster', { type: 'EDS', name: 'x' }),
      encode('envoy.config.cluster.v3.Cluster', { name: 'x', type: 'EDS' }),
    );
  });

  it('names the place of an error', () => {
    const wrong = (message: unknown, path: string, reason: RegExp): void => {
      assert.throws(
        () => encodeUnchecked('envoy.config.listener.v3.Listener', message),
        (error) => {
          assert.ok(error instanceof EncodeError);
          assert.equal(error.path, path);
          assert.match(error.reason, reason);
          assert.equal(error.typeName, 'envoy.config.listener.v3.Listener');
          return true;
        },
      );
    };
    wrong({ nam: 'x' }, 'nam', /no such field/);
    wrong({ name: 1 }, 'name', /expected a string/);
    wrong({ address: { socketAddress: { portValue: 5e9 } } }, 'address.socketAddress.portValue', /not between/);
    wrong({ address: { socketAddress: {}, pipe: {} } }, 'address.pipe', /only one of/);
    wrong({ trafficDirection: 'UP' }, 'trafficDirection', /INBOUND/);
    wrong({ filterChains: [{}, { filters: {} }] }, 'filterChains[1].filters', /expected a list/);
    wrong({ listenerFiltersTimeout: '5' }, 'listenerFiltersTimeout', /duration/);
    wrong(
      { listenerFilters: [{ typedConfig: { '@type': 'type.googleapis.com/no.Such' } }] },
      'listenerFilters[0].typedConfig.@type',
      /no message type no.Such/,
    );
    wrong({ name: 'a', statPrefix: 'b', stat_prefix: 'c' }, 'stat_prefix', /given twice/);
    let deep: unknown = 1;
    for (let level = 0; level < 300; level++) deep = [deep];
    assert.throws(() => encodeUnchecked('google.protobuf.Value', deep), EncodeError);
  });

  it('takes encoded messages as they are', () => {
    const any = encodeAny({ '@type': 'type.googleapis.com/envoy.config.cluster.v3.Cluster', name: 'c' } as never);
    const response = encodeUnchecked('envoy.service.discovery.v3.DiscoveryResponse', {
      versionInfo: '1',
      resources: [any],
    });
    assert.deepEqual(decode('envoy.service.discovery.v3.DiscoveryResponse', response), {
      versionInfo: '1',
      resources: [{ '@type': 'type.googleapis.com/envoy.config.cluster.v3.Cluster', name: 'c' }],
    });
  });

  it('reads both spellings of a name and writes one', () => {
    assert.deepEqual(
      toCanonicalJson('envoy.config.cluster.v3.Cluster', { connect_timeout: '1.5s', type: 3, lb_policy: 0 }),
      { connectTimeout: '1.500s', type: 'EDS' },
    );
  });

  it('checks a typed Any at compile time', () => {
    const hcm: TypedAny<'envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager'> = {
      '@type': 'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager',
      statPrefix: 'x',
    };
    const plain: HttpConnectionManager = hcm;
    assert.equal(plain.statPrefix, 'x');
  });
});

/** A small pseudo-random generator (xorshift), so that a failure can be repeated. */
function generator(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

function randomValue(type: FieldType, pick: (below: number) => number, depth: number): unknown {
  switch (type.kind) {
    case 'enum': {
      if (type.typeName === 'google.protobuf.NullValue') return null;
      const names = [...registry().enum(type.typeName)!.names.values()];
      return names[pick(names.length)];
    }
    case 'message':
      return randomMessage(type.typeName, pick, depth + 1);
    case 'scalar':
      switch (type.scalar) {
        case 'string':
          return ['', 'a', 'plain text', 'ünïcödé 🎉', 'x'.repeat(200)][pick(5)];
        case 'bytes':
          return ['', 'AAEC', '/+8='][pick(3)];
        case 'bool':
          return pick(2) === 1;
        case 'double':
          return [0, -1.5, 1e300, 'Infinity'][pick(4)];
        case 'float':
          return [0, 0.5, -3, 'NaN'][pick(4)];
        case 'int64':
        case 'sint64':
        case 'sfixed64':
          return ['0', '-1', '9223372036854775807', '-9223372036854775808'][pick(4)];
        case 'uint64':
        case 'fixed64':
          return ['0', '1', '18446744073709551615'][pick(3)];
        case 'uint32':
        case 'fixed32':
          return [0, 1, 127, 128, 4294967295][pick(5)];
        default:
          return [0, 1, -1, 2147483647, -2147483648][pick(5)];
      }
  }
}

function randomMessage(typeName: string, pick: (below: number) => number, depth: number): unknown {
  switch (typeName) {
    case 'google.protobuf.Any':
      return depth > 3
        ? { '@type': 'type.googleapis.com/google.protobuf.Duration', value: '1.250s' }
        : {
            '@type': 'type.googleapis.com/envoy.config.core.v3.Node',
            ...(randomMessage('envoy.config.core.v3.Node', pick, depth + 1) as object),
          };
    case 'google.protobuf.Duration':
      return ['0s', '1.500s', '-3s', '0.000000001s'][pick(4)];
    case 'google.protobuf.Timestamp':
      return ['1970-01-01T00:00:00Z', '2026-01-02T03:04:05.006Z', '1901-01-01T00:00:00.000000001Z'][pick(3)];
    case 'google.protobuf.FieldMask':
      return 'a.b,cD';
    case 'google.protobuf.Struct':
      return { a: 1, z: { y: [true, null, 'x'] } };
    case 'google.protobuf.Value':
      return [1, 'x', { a: [] }, [1, [2]], false][pick(5)];
    case 'google.protobuf.ListValue':
      return [1, 'x', null];
    default: {
      const wrapper = /^google\.protobuf\.(Double|Float|Int64|UInt64|Int32|UInt32|Bool|String|Bytes)Value$/.exec(
        typeName,
      );
      if (wrapper !== null)
        return randomValue({ kind: 'scalar', scalar: wrapper[1]!.toLowerCase() as 'bool' }, pick, depth);
    }
  }
  const message: Record<string, unknown> = {};
  const used = new Set<string>();
  for (const field of registry().message(typeName)!.fields) {
    if (depth > 3 || pick(depth + 2) > 0) continue;
    if (field.oneof !== undefined && used.has(field.oneof)) continue;
    if (field.oneof !== undefined) used.add(field.oneof);
    const value = () => randomValue(field.type, pick, depth);
    if (field.cardinality === 'repeated') message[field.jsonName] = [value(), value()];
    else if (field.cardinality === 'map') {
      const key = field.mapKey === 'string' ? 'key' : field.mapKey === 'bool' ? 'true' : '7';
      message[field.jsonName] = { [key]: value() };
    } else message[field.jsonName] = value();
  }
  return message;
}

describe('every message type', () => {
  it('encodes and decodes as protobuf-es does', () => {
    const pick = generator(20260102);
    let compared = 0;
    for (const typeName of registry().messageNames()) {
      if (typeName === 'google.protobuf.Empty') continue;
      const type = oracleMessage(typeName);
      const json = randomMessage(typeName, pick, 0);
      const expected = fromJson(type, json as JsonValue, { registry: oracle });
      const bytes = encodeUnchecked(typeName, json);
      assert.deepEqual(bytes, Buffer.from(toBinary(type, expected)), typeName);
      const decoded = decodeUnchecked(typeName, bytes);
      assert.deepEqual(
        decoded,
        JSON.parse(JSON.stringify(toJson(type, expected, { registry: oracle }))),
        `${typeName} decoded`,
      );
      assert.deepEqual(encodeUnchecked(typeName, decoded), bytes, `${typeName} encoded again`);
      compared++;
    }
    assert.ok(compared > 1000);
  });
});

describe('decoding', () => {
  it('merges a message that occurs twice', () => {
    const first = encode('envoy.config.cluster.v3.Cluster', { circuitBreakers: { thresholds: [{ maxRetries: 1 }] } });
    const second = encode('envoy.config.cluster.v3.Cluster', { circuitBreakers: { thresholds: [{ maxRetries: 2 }] } });
    const bytes = Buffer.concat([first, second]);
    const type = oracleMessage('envoy.config.cluster.v3.Cluster');
    assert.deepEqual(decode('envoy.config.cluster.v3.Cluster', bytes), toJson(type, fromBinary(type, bytes)));
  });

  it('does not merge again and again what somebody sends again and again', () => {
    const metadata = Object.fromEntries(Array.from({ length: 30_000 }, (_, index) => [`key${index}`, 'value']));
    const first = encode('envoy.service.discovery.v3.DeltaDiscoveryRequest', { node: { id: 'a', metadata } });
    // An empty node, three hundred thousand times: with work each time in proportion to the first one this would take hours.
    const again = Buffer.alloc(600_000, Buffer.from([0x0a, 0]));
    const { node } = decode('envoy.service.discovery.v3.DeltaDiscoveryRequest', Buffer.concat([first, again]));
    assert.equal(Object.keys(node?.metadata ?? {}).length, 30_000);
    const well = Buffer.concat([first, ...Array.from({ length: 9 }, () => Buffer.from([0x0a, 2, 0x1a, 0]))]);
    assert.throws(
      () => decode('envoy.service.discovery.v3.DeltaDiscoveryRequest', well),
      /field node\.metadata: occurs more than 8 times/,
    );
  });

  it('keeps the content of an Any of unknown type', () => {
    const any = { '@type': 'type.googleapis.com/contrib.Filter', value: 'CgNhYmM=' };
    assert.deepEqual(decodeUnchecked('google.protobuf.Any', encodeAny(any)), any);
  });

  it('does not let a key of a map become a prototype', () => {
    const json = JSON.parse('{"fields":{"__proto__":{"kind":{"case":"x"}}}}');
    const bytes = encodeUnchecked('google.protobuf.Struct', json.fields);
    const decoded = decodeUnchecked('google.protobuf.Struct', bytes) as object;
    assert.equal(Object.getPrototypeOf(decoded), Object.prototype);
    assert.deepEqual(Object.keys(decoded), ['__proto__']);
  });

  it('answers malformed input with a DecodeError or a message, nothing else', () => {
    const pick = generator(7);
    const valid = encode('envoy.config.listener.v3.Listener', listener);
    let refused = 0;
    for (let round = 0; round < 3000; round++) {
      const bytes = Buffer.from(valid.subarray(0, 1 + pick(valid.length)));
      for (let flips = pick(4); flips >= 0; flips--) bytes[pick(bytes.length)] = pick(256);
      try {
        decode('envoy.config.listener.v3.Listener', bytes);
      } catch (error) {
        assert.equal((error as DecodeError).name, 'DecodeError', String((error as Error).stack));
        refused++;
      }
    }
    assert.ok(refused > 0);
    let nested = Buffer.alloc(0);
    // A list inside a list, 5000 deep: ListValue.values, Value.list_value.
    for (let level = 0; level < 5000; level++) {
      const inner = Buffer.concat([Buffer.from([50]), varint(nested.length), nested]);
      nested = Buffer.concat([Buffer.from([10]), varint(inner.length), inner]);
    }
    assert.throws(() => decodeUnchecked('google.protobuf.ListValue', nested), /nested deeper/);
  });
});

function varint(value: number): Buffer {
  const bytes: number[] = [];
  for (let rest = value; ; rest >>>= 7) {
    if (rest < 0x80) return Buffer.from([...bytes, rest]);
    bytes.push((rest & 0x7f) | 0x80);
  }
}
