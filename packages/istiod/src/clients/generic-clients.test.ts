import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import {
  type DeltaDiscoveryRequest,
  type DeltaDiscoveryResponse,
  type DiscoveryRequest,
  type DiscoveryResponse,
  decode,
  encode,
  type Node,
} from '@istio-ts/envoy';
import { type ClientStream, type GrpcChannel, openGrpcChannel } from '@istio-ts/envoy/grpc';
import { application, istioObject } from '@istio-ts/xds/testing/objects';
import { TypeUrl } from '../ads/resource-kinds.ts';
import { accountToken, type ControlPlane, startControlPlane, SYSTEM_NAMESPACE } from './control-plane.test-support.ts';

/** Clients that are no proxy of ours and no Envoy: they speak the protocols by the book, or not quite. */

const SERVICE = '/envoy.service.discovery.v3.AggregatedDiscoveryService';
const node = (name: string, namespace = 'default'): Node => ({
  id: `sidecar~10.9.9.9~${name}.${namespace}~${namespace}.svc.cluster.local`,
  metadata: { NAMESPACE: namespace },
});
const echo = 'outbound|80||echo.default.svc.cluster.local';
const other = 'outbound|80||other.default.svc.cluster.local';

let controlPlane: ControlPlane;
const channels: GrpcChannel[] = [];

before(async () => {
  controlPlane = await startControlPlane([
    ...application('echo', { name: 'http', port: 80 }, [{ version: 'v1' }]),
    ...application('other', { name: 'http', port: 80 }, [{}], { base: 2 }),
  ]);
});
after(() => controlPlane.close());
afterEach(() => {
  for (const channel of channels.splice(0)) channel.close();
});

function connect(account?: { readonly namespace: string; readonly serviceAccount: string }): GrpcChannel {
  const [host = '', port = ''] = (account ? controlPlane.secure : controlPlane.plain).split(':');
  const own = account && controlPlane.certificate(account);
  const channel = openGrpcChannel(
    own
      ? {
          kind: 'tls',
          host,
          port: Number(port),
          serverName: 'istiod.istio-system.svc',
          tls: { ca: controlPlane.root, key: own.key, cert: own.chain },
        }
      : { kind: 'tcp', host, port: Number(port) },
  );
  channels.push(channel);
  return channel;
}

class World {
  readonly stream: ClientStream;
  readonly #messages: AsyncGenerator<Buffer>;
  constructor(stream: ClientStream) {
    this.stream = stream;
    this.#messages = stream.messages();
  }
  static async open(channel = connect()): Promise<World> {
    return new World(await channel.stream(`${SERVICE}/StreamAggregatedResources`));
  }
  send(request: DiscoveryRequest): Promise<void> {
    return this.stream.write(encode('envoy.service.discovery.v3.DiscoveryRequest', request));
  }
  async next(): Promise<DiscoveryResponse> {
    const { value, done } = await this.#messages.next();
    assert.ok(!done);
    return decode('envoy.service.discovery.v3.DiscoveryResponse', value);
  }
  ack({ typeUrl, nonce, versionInfo }: DiscoveryResponse, names: readonly string[] = []): Promise<void> {
    return this.send({ typeUrl, versionInfo, responseNonce: nonce, resourceNames: names });
  }
}

class Delta {
  readonly stream: ClientStream;
  readonly #messages: AsyncGenerator<Buffer>;
  constructor(stream: ClientStream) {
    this.stream = stream;
    this.#messages = stream.messages();
  }
  static async open(channel = connect()): Promise<Delta> {
    return new Delta(await channel.stream(`${SERVICE}/DeltaAggregatedResources`));
  }
  send(request: DeltaDiscoveryRequest): Promise<void> {
    return this.stream.write(encode('envoy.service.discovery.v3.DeltaDiscoveryRequest', request));
  }
  async next(): Promise<DeltaDiscoveryResponse> {
    const { value, done } = await this.#messages.next();
    assert.ok(!done);
    return decode('envoy.service.discovery.v3.DeltaDiscoveryResponse', value);
  }
}

const namesOf = ({ resources = [] }: DeltaDiscoveryResponse): string[] =>
  resources.map(({ name }) => name ?? '').sort();
const clusterNames = ({ resources = [] }: DiscoveryResponse): string[] =>
  resources.map((resource) => (resource as { readonly name?: string }).name ?? '').sort();

describe('a client of the state of the world', () => {
  it('names one cluster, then two, then one again, then all', async () => {
    const client = await World.open();
    await client.send({ node: node('sotw'), typeUrl: TypeUrl.cluster, resourceNames: [echo] });
    const first = await client.next();
    assert.deepEqual(clusterNames(first), [echo]);
    await client.ack(first, [echo, other]);
    const second = await client.next();
    assert.deepEqual(clusterNames(second), [echo, other]);
    // Fewer names need no answer; more do.
    await client.ack(second, [other]);
    await client.send({ typeUrl: TypeUrl.cluster, responseNonce: second.nonce, resourceNames: ['*'] });
    const all = await client.next();
    assert.ok(clusterNames(all).includes(echo) && clusterNames(all).length > 2);
    assert.notEqual(all.versionInfo, '');
  });

  it('whose nonce is of an earlier response is not answered; the current one is', async () => {
    const client = await World.open();
    await client.send({ node: node('stale'), typeUrl: TypeUrl.endpoint, resourceNames: [echo] });
    const first = await client.next();
    await client.ack(first, [echo]);
    await client.ack({ ...first, nonce: 'never-sent' }, [other]);
    await client.ack(first, [echo, other]);
    const second = await client.next();
    const assigned = (second.resources ?? []).map((found) => (found as { readonly clusterName?: string }).clusterName);
    assert.ok(assigned.includes(other));
    assert.match(controlPlane.metrics.text(), /pilot_xds_expired_nonce\{type="eds"\} 1/);
  });

  it('asks for what does not exist: its stream goes on', async () => {
    const client = await World.open();
    const unknown = 'type.googleapis.com/example.Unheard.of';
    await client.send({ node: node('strange'), typeUrl: unknown });
    const nothing = await client.next();
    assert.equal(nothing.typeUrl, unknown);
    assert.equal(nothing.resources?.length ?? 0, 0);
    const huge = 'n'.repeat(500_000);
    await client.send({ typeUrl: TypeUrl.endpoint, resourceNames: [huge, ''] });
    assert.equal((await client.next()).resources?.length ?? 0, 0);
    await client.send({ typeUrl: TypeUrl.cluster });
    assert.ok(clusterNames(await client.next()).includes(echo));
  });
});

describe('a client of the delta protocol', () => {
  it('subscribes by name, is told of what is missing, unsubscribes, subscribes again', async () => {
    const client = await Delta.open();
    await client.send({
      node: node('delta'),
      typeUrl: TypeUrl.cluster,
      resourceNamesSubscribe: [echo, 'outbound|1||no'],
    });
    const first = await client.next();
    assert.deepEqual(namesOf(first), [echo]);
    assert.deepEqual(first.removedResources, ['outbound|1||no']);
    await client.send({ typeUrl: TypeUrl.cluster, responseNonce: first.nonce });
    await client.send({ typeUrl: TypeUrl.cluster, resourceNamesUnsubscribe: [echo], resourceNamesSubscribe: [other] });
    const second = await client.next();
    assert.deepEqual(namesOf(second), [other]);
    await client.send({ typeUrl: TypeUrl.cluster, responseNonce: second.nonce, resourceNamesSubscribe: [echo] });
    assert.deepEqual(namesOf(await client.next()), [echo]);
  });

  it('asks for everything with a star, beside names, and gives it up', async () => {
    const client = await Delta.open();
    await client.send({ node: node('star'), typeUrl: TypeUrl.cluster, resourceNamesSubscribe: ['*', echo] });
    const all = await client.next();
    assert.ok(namesOf(all).includes(echo) && namesOf(all).includes(other));
    await client.send({
      typeUrl: TypeUrl.cluster,
      responseNonce: all.nonce,
      resourceNamesUnsubscribe: ['*'],
    });
    // Only what is named is followed now.
    controlPlane.set(
      istioObject(
        'DestinationRule',
        { name: 'both' },
        {
          host: '*.default.svc.cluster.local',
          trafficPolicy: { connectionPool: { http: { maxRequestsPerConnection: 7 } } },
        },
      ),
    );
    assert.deepEqual(namesOf(await client.next()), [echo]);
  });

  it('comes back with what it has and gets the difference', async () => {
    const before = await Delta.open();
    await before.send({ node: node('again'), typeUrl: TypeUrl.cluster });
    const all = await before.next();
    const versions = Object.fromEntries((all.resources ?? []).map(({ name = '', version = '' }) => [name, version]));
    before.stream.cancel();
    const client = await Delta.open();
    await client.send({
      node: node('again'),
      typeUrl: TypeUrl.cluster,
      responseNonce: all.nonce,
      initialResourceVersions: { ...versions, [echo]: 'an older one', gone: '1' },
    });
    const difference = await client.next();
    assert.deepEqual(namesOf(difference), [echo]);
    assert.deepEqual(difference.removedResources, ['gone']);
  });

  it('says first what it does not want', async () => {
    const client = await Delta.open();
    await client.send({ node: node('no'), typeUrl: TypeUrl.endpoint, resourceNamesUnsubscribe: ['*', echo, ''] });
    await client.send({ typeUrl: TypeUrl.endpoint, resourceNamesSubscribe: [echo] });
    assert.deepEqual(namesOf(await client.next()), [echo]);
  });
});

describe('an Envoy of an older release', () => {
  const listenersOf = async (minorNumber: number): Promise<string> => {
    const client = await Delta.open();
    await client.send({
      node: {
        ...node(`of-1-${minorNumber}`),
        userAgentBuildVersion: { version: { majorNumber: 1, minorNumber, patch: 0 } },
      },
      typeUrl: TypeUrl.listener,
    });
    return JSON.stringify((await client.next()).resources);
  };

  it('gets listeners without the access logger that it does not have', async () => {
    for (const minor of [36, 37, 38]) {
      const text = await listenersOf(minor);
      assert.match(text, /virtualInbound/);
      assert.ok(!/access_loggers\.stats|istio\.peer_metadata/.test(text), `1.${minor}`);
    }
    assert.match(await listenersOf(39), /access_loggers\.stats/);
  });
});

describe('the debug types', () => {
  const ask = async (channel: GrpcChannel, typeUrl: string, names: readonly string[]): Promise<DiscoveryResponse> => {
    const client = await World.open(channel);
    await client.send({ node: node('tool', SYSTEM_NAMESPACE), typeUrl, resourceNames: names });
    return client.next();
  };

  it('answer identities of the system namespace, in both protocols', async () => {
    const proxy = await Delta.open();
    await proxy.send({ node: node('seen'), typeUrl: TypeUrl.cluster });
    await proxy.next();
    const tools = connect({ namespace: SYSTEM_NAMESPACE, serviceAccount: 'tool' });
    const states = await ask(tools, 'istio.io/debug/syncz', []);
    const ids = (states.resources ?? []).map((state) => (state as { readonly node?: Node }).node?.id);
    assert.ok(ids.includes(node('seen').id));
    const delta = await Delta.open(tools);
    await delta.send({
      node: node('tool', SYSTEM_NAMESPACE),
      typeUrl: 'istio.io/debug/config_dump',
      resourceNamesSubscribe: ['seen.default'],
    });
    const dump = await delta.next();
    assert.match(JSON.stringify(dump.resources?.[0]?.resource ?? {}), /istio\.io\/debug/);
    for (const command of ['syncz', 'connections', 'ndsz?proxyID=seen.default', 'config_dump?proxyID=seen.default'])
      await ask(tools, 'istio.io/debug', [command]).catch((error: { status?: string }) =>
        // What this set-up has no objects for is said to be unknown.
        assert.equal(error.status, 'NOT_FOUND', command),
      );
  });

  it('refuse others, by certificate and by token, without harm to the stream of anybody else', async () => {
    const [host = '', port = ''] = controlPlane.secure.split(':');
    const byToken = openGrpcChannel({
      kind: 'tls',
      host,
      port: Number(port),
      serverName: 'istiod.istio-system.svc',
      tls: { ca: controlPlane.root },
    });
    channels.push(byToken);
    const stream = await byToken.stream(`${SERVICE}/DeltaAggregatedResources`, {
      metadata: { authorization: `Bearer ${accountToken('default', 'echo')}` },
    });
    const known = new Delta(stream);
    await known.send({ node: node('by-token'), typeUrl: TypeUrl.cluster });
    assert.ok(namesOf(await known.next()).includes(echo));
    await assert.rejects((await World.open(byToken)).next(), { status: 'UNAUTHENTICATED' });
  });
});
