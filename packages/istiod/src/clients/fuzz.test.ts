import assert from 'node:assert/strict';
import { once } from 'node:events';
import http2 from 'node:http2';
import { connect as connectTcp } from 'node:net';
import { after, before, describe, it } from 'node:test';
import {
  type DeltaDiscoveryRequest,
  type DeltaDiscoveryResponse,
  type DiscoveryRequest,
  decode,
  encode,
} from '@istio-ts/envoy';
import { GrpcError, openGrpcChannel } from '@istio-ts/envoy/grpc';
import { NAME_TABLE_TYPE } from '@istio-ts/envoy/name-table';
import { application, istioObject } from '@istio-ts/xds/testing/objects';
import fc from 'fast-check';
import { TypeUrl } from '../ads/resource-kinds.ts';
import { eventually } from '@istio-ts/envoy/testing/eventually';
import { type ControlPlane, startControlPlane } from './control-plane.test-support.ts';

/** Whatever a client sends: the control plane stays, says why it ended a stream, and gives a bystander its changes. */

const SERVICE = '/envoy.service.discovery.v3.AggregatedDiscoveryService';
const PATHS = { delta: `${SERVICE}/DeltaAggregatedResources`, world: `${SERVICE}/StreamAggregatedResources` } as const;
const MESSAGES = {
  delta: 'envoy.service.discovery.v3.DeltaDiscoveryRequest',
  world: 'envoy.service.discovery.v3.DiscoveryRequest',
} as const;
const echo = 'outbound|80||echo.default.svc.cluster.local';
const node = {
  id: 'sidecar~10.9.9.9~fuzz.default~default.svc.cluster.local',
  cluster: 'fuzz.default',
  metadata: { NAMESPACE: 'default', LABELS: { app: 'echo' }, POD_PORTS: '[]', PROXY_CONFIG: { concurrency: 2 } },
};

let controlPlane: ControlPlane;
let host = '';
let port = 0;
const uncaught: unknown[] = [];
const note = (error: unknown): void => void uncaught.push(error);
before(async () => {
  process.on('unhandledRejection', note);
  process.on('uncaughtException', note);
  controlPlane = await startControlPlane(application('echo', { name: 'http', port: 80 }, [{ version: 'v1' }]));
  const at = controlPlane.plain.split(':');
  host = at[0] ?? '';
  port = Number(at[1]);
});
after(async () => {
  await controlPlane.close();
  process.off('unhandledRejection', note);
  process.off('uncaughtException', note);
});

let round = 0;

/** A well-behaved proxy that must see a change that is made after `disturb`; nothing may have failed inside. */
async function whileWatched(disturb: () => Promise<void>): Promise<void> {
  const channel = openGrpcChannel({ kind: 'tcp', host, port });
  const stream = await channel.stream(PATHS.delta);
  const messages = stream.messages();
  const ask = (request: object): Promise<void> =>
    stream.write(encode(MESSAGES.delta, request as DeltaDiscoveryRequest));
  const next = async (): Promise<DeltaDiscoveryResponse> => {
    const { value, done } = await messages.next();
    assert.ok(!done);
    return decode('envoy.service.discovery.v3.DeltaDiscoveryResponse', value);
  };
  await ask({
    node: { id: 'sidecar~10.8.8.8~bystander.default~default.svc.cluster.local', metadata: { NAMESPACE: 'default' } },
    typeUrl: TypeUrl.cluster,
    resourceNamesSubscribe: [echo],
  });
  const first = await next();
  assert.equal(first.resources?.length, 1);
  await ask({ typeUrl: TypeUrl.cluster, responseNonce: first.nonce });
  await disturb();
  round++;
  controlPlane.set(
    istioObject(
      'DestinationRule',
      { name: 'echo' },
      { host: 'echo', trafficPolicy: { connectionPool: { tcp: { connectTimeout: `${round}s` } } } },
    ),
  );
  const changed = (await next()).resources?.[0]?.resource as { readonly connectTimeout?: string } | undefined;
  assert.equal(changed?.connectTimeout, `${round}s`);
  stream.cancel();
  channel.close();
  assert.deepEqual(uncaught, []);
  const failures = /^pilot_total_xds_internal_errors.* [1-9].*$/m.exec(controlPlane.metrics.text());
  assert.equal(failures?.[0], undefined, controlPlane.complaints.slice(-5).join('\n'));
}

/** Sends the messages on a stream of its own; gives the end of the stream, undefined when it goes on. */
async function send(protocol: keyof typeof PATHS, messages: readonly Uint8Array[]): Promise<GrpcError | undefined> {
  const channel = openGrpcChannel({ kind: 'tcp', host, port });
  const stream = await channel.stream(PATHS[protocol]);
  const ended = (async () => {
    try {
      for await (const _ of stream.messages());
    } catch (error) {
      assert.ok(error instanceof GrpcError, String(error));
      return error;
    }
    return undefined;
  })();
  for (const message of messages) await stream.write(message).catch(() => undefined);
  stream.end();
  const end = await ended;
  channel.close();
  return end;
}

const types = fc.constantFrom(
  ...Object.values(TypeUrl),
  NAME_TABLE_TYPE,
  'type.googleapis.com/istio.v1.HealthInformation',
  'type.googleapis.com/envoy.config.bootstrap.v3.Bootstrap',
  'istio.io/debug',
  'istio.io/debug/syncz',
  'istio.io/debug/config_dump',
  'networking.istio.io/v1/VirtualService',
  'type.googleapis.com/__proto__',
  '__proto__',
  '/',
);
const names = fc.array(
  fc.oneof(
    fc.constantFrom(
      echo,
      '*',
      '',
      '80',
      'virtualInbound',
      '__proto__',
      'constructor',
      'syncz',
      '//',
      'config_dump?proxyID=%',
      '80/echo.default.svc.cluster.local:80',
    ),
    fc.string({ maxLength: 200, unit: 'binary' }),
  ),
  { maxLength: 8 },
);
const nonces = fc.constantFrom('', '1', '2', '3', 'debug-1', 'unheard of');
const errors = fc.option(fc.record({ code: fc.nat(16), message: fc.constantFrom('', echo, 'refused') }), {
  nil: undefined,
});
const nodes = fc.option(
  fc.oneof(
    { weight: 4, arbitrary: fc.constant<object>(node) },
    {
      weight: 1,
      arbitrary: fc.record({
        id: fc.oneof(fc.constantFrom(node.id, 'router~::1~a.b~c', '~~~', 'sidecar~1.2.3.4~.~.'), fc.string()),
        metadata: fc.dictionary(
          fc.constantFrom(
            'NAMESPACE',
            'LABELS',
            'POD_PORTS',
            'PROXY_CONFIG',
            'INSTANCE_IPS',
            'GENERATOR',
            'INCREMENTAL_ROUTES',
            'SERVICE_ACCOUNT',
            'NETWORK',
            'CLUSTER_ID',
            'ISTIO_VERSION',
            'INTERCEPTION_MODE',
            '__proto__',
          ),
          fc.oneof(
            fc.constantFrom<fc.JsonValue>('grpc', 'true', 'NONE', 'default', '127.0.0.1,::1', '[{}]'),
            fc.jsonValue({ maxDepth: 2 }),
          ),
        ) as fc.Arbitrary<object>,
      }),
    },
  ),
  { nil: undefined, freq: 3 },
);
const deltaRequest = fc.record({
  node: nodes,
  typeUrl: types,
  responseNonce: nonces,
  resourceNamesSubscribe: names,
  resourceNamesUnsubscribe: names,
  initialResourceVersions: fc.dictionary(fc.constantFrom(echo, 'gone', '*', '80'), fc.constantFrom('', '1')),
  errorDetail: errors,
});
const worldRequest = fc.record({
  node: nodes,
  typeUrl: types,
  versionInfo: nonces,
  responseNonce: nonces,
  resourceNames: names,
  errorDetail: errors,
});
const conversation = fc.oneof(
  fc.record({
    protocol: fc.constant('delta' as const),
    messages: fc.array(
      deltaRequest.map((request) => encode(MESSAGES.delta, request as DeltaDiscoveryRequest)),
      { minLength: 1, maxLength: 12 },
    ),
  }),
  fc.record({
    protocol: fc.constant('world' as const),
    messages: fc.array(
      worldRequest.map((request) => encode(MESSAGES.world, request as DiscoveryRequest)),
      { minLength: 1, maxLength: 12 },
    ),
  }),
);
/** What is done to a message: a byte changed, bytes put in, the rest cut off. */
const damage = fc.record({
  message: fc.nat(11),
  at: fc.nat(1 << 16),
  kind: fc.constantFrom('change', 'insert', 'cut'),
  bytes: fc.uint8Array({ minLength: 1, maxLength: 12 }),
});

function damaged(
  messages: readonly Uint8Array[],
  harms: readonly { message: number; at: number; kind: string; bytes: Uint8Array }[],
): Uint8Array[] {
  const result = messages.map((message) => Buffer.from(message));
  for (const { message, at, kind, bytes } of harms) {
    const index = message % result.length;
    const target = result[index] ?? Buffer.alloc(0);
    const place = target.length === 0 ? 0 : at % target.length;
    const rest = kind === 'cut' ? Buffer.alloc(0) : target.subarray(place + (kind === 'change' ? bytes.length : 0));
    result[index] = Buffer.concat([target.subarray(0, place), kind === 'cut' ? Buffer.alloc(0) : bytes, rest]);
  }
  return result;
}

const runs = { numRuns: Number(process.env.FUZZ_RUNS ?? 60), endOnFailure: true };
/** How a client may be told off. */
const REASONS = ['INVALID_ARGUMENT', 'UNAUTHENTICATED', 'PERMISSION_DENIED', 'NOT_FOUND', 'RESOURCE_EXHAUSTED'];

describe('fuzzed clients', () => {
  it('requests in any order, with any names and nonces', async () => {
    await fc.assert(
      fc.asyncProperty(conversation, ({ protocol, messages }) =>
        whileWatched(async () => {
          const end = await send(protocol, messages);
          assert.ok(end === undefined || REASONS.includes(end.status), `${end?.status}: ${end?.message}`);
        }),
      ),
      runs,
    );
  });

  it('damaged bytes of requests', async () => {
    await fc.assert(
      fc.asyncProperty(
        conversation,
        fc.array(damage, { minLength: 1, maxLength: 4 }),
        ({ protocol, messages }, harms) =>
          whileWatched(async () => {
            const end = await send(protocol, damaged(messages, harms));
            assert.ok(end === undefined || REASONS.includes(end.status), `${end?.status}: ${end?.message}`);
          }),
      ),
      runs,
    );
  });

  it('bytes that are no gRPC, inside HTTP/2', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 5 }),
        fc.constantFrom(
          ...Object.values(PATHS),
          `${SERVICE}/Nothing`,
          '/',
          '/a/b/c',
          '/istio.v1.auth.IstioCertificateService/CreateCertificate',
        ),
        fc.constantFrom('application/grpc', 'application/grpc+json', 'text/plain', ''),
        (chunks, path, type) =>
          whileWatched(async () => {
            const session = http2.connect(`http://${host}:${port}`);
            session.on('error', () => undefined);
            const stream = session.request({ ':method': 'POST', ':path': path, 'content-type': type, te: 'trailers' });
            stream.on('error', () => undefined);
            stream.resume();
            for (const chunk of chunks) stream.write(chunk);
            stream.end();
            if (!stream.closed) await once(stream, 'close');
            session.close();
          }),
      ),
      runs,
    );
  });

  it('bytes that are no HTTP/2', async () => {
    const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
    await fc.assert(
      fc.asyncProperty(fc.boolean(), fc.uint8Array({ minLength: 1, maxLength: 400 }), (polite, bytes) =>
        whileWatched(async () => {
          const socket = connectTcp(port, host);
          socket.on('error', () => undefined);
          socket.resume();
          await once(socket, 'connect');
          if (polite) socket.write(Buffer.concat([preface, Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0])]));
          socket.end(bytes);
          // What looks like the begin of a frame is waited for; the client goes away.
          setImmediate(() => socket.destroy());
          if (!socket.closed) await once(socket, 'close');
        }),
      ),
      runs,
    );
  });

  it('nothing of them is left', async () => {
    await eventually(
      'no stream is open',
      () => controlPlane.connections().length,
      (count) => count === 0,
    );
  });
});
