import assert from 'node:assert/strict';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, it } from 'node:test';
import { type DeltaDiscoveryRequest, type DiscoveryRequest, decode, encode, type Node } from '@istio-ts/envoy';
import {
  type ClientStream,
  createGrpcServer,
  type GrpcChannel,
  type GrpcServer,
  openGrpcChannel,
} from '@istio-ts/envoy/grpc';
import { MetricsRegistry } from '@istio-ts/metrics';
import {
  createCsr,
  createRootCertificate,
  exportPrivateKey,
  generatePrivateKey,
  loadAuthority,
  P256,
} from '@istio-ts/security';
import { createDebug, debugText } from '../http/debug.ts';
import { createAdsMetrics } from '../metrics/pilot.ts';
import { Connections } from './connections.ts';
import { MemorySource } from './memory-source.ts';
import { TypeUrl } from './resource-kinds.ts';
import { createAdsServer } from './server.ts';
import { silent } from '../silent-log.test-support.ts';

const WORLD = '/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources';
const DELTA = '/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources';
const shopNode: Node = {
  id: 'sidecar~10.1.2.3~pod-1.shop~shop.svc.cluster.local',
  metadata: { NAMESPACE: 'shop', SERVICE_ACCOUNT: 'cart' },
};

const authority = loadAuthority(createRootCertificate({ organization: 'cluster.local', now: new Date() }));
const cleanups: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

interface Running {
  readonly source: MemorySource;
  readonly connections: Connections;
  readonly metrics: MetricsRegistry;
  readonly port: number;
  readonly server: GrpcServer;
}

async function start(tls: boolean): Promise<Running> {
  const source = new MemorySource();
  const metrics = new MetricsRegistry();
  const connections = new Connections();
  const ads = createAdsServer({
    source,
    connections,
    trustDomain: 'cluster.local',
    systemNamespace: 'istio-system',
    controlPlaneId: 'test',
    metrics: createAdsMetrics(metrics, 'test'),
    log: silent,
    now: Date.now,
    authenticateToken: async (token) => {
      if (token === 'unchecked') throw new Error('connect ECONNREFUSED');
      return token === 'cart'
        ? { authenticated: true, namespace: 'shop', serviceAccount: 'cart' }
        : { authenticated: false, reason: 'unknown' };
    },
    debug: debugText(createDebug({ connections, systemNamespace: 'istio-system' })),
  });
  const own = authority.issueServer({ dnsNames: ['istiod.istio-system.svc'], now: new Date() });
  const server = createGrpcServer({
    methods: ads.methods,
    maxReceiveBytes: 1024 * 1024,
    ...(tls ? { tls: { key: own.key, cert: own.chain, ca: authority.root } } : {}),
  });
  const { port } = (await server.listen({ host: '127.0.0.1', port: 0 })) as AddressInfo;
  cleanups.push(() => server.close(50));
  return { source, connections, metrics, port, server };
}

function open(
  { port }: Running,
  account?: { readonly namespace: string; readonly serviceAccount: string; readonly trustDomain?: string } | 'tls',
): GrpcChannel {
  let channel: GrpcChannel;
  if (account === undefined) channel = openGrpcChannel({ kind: 'tcp', host: '127.0.0.1', port });
  else {
    let client = {};
    if (account !== 'tls') {
      const key = generatePrivateKey(P256);
      const issued = authority.sign({
        csr: createCsr(key, []),
        identity: { trustDomain: 'cluster.local', ...account },
        now: new Date(),
      });
      client = { key: exportPrivateKey(key), cert: issued.chain };
    }
    channel = openGrpcChannel({
      kind: 'tls',
      host: '127.0.0.1',
      port,
      serverName: 'istiod.istio-system.svc',
      tls: { ca: authority.root, ...client },
    });
  }
  cleanups.push(() => channel.close());
  return channel;
}

class DeltaClient {
  readonly #stream: ClientStream;
  readonly #messages: AsyncGenerator<Buffer>;

  constructor(stream: ClientStream) {
    this.#stream = stream;
    this.#messages = stream.messages();
  }

  send(request: DeltaDiscoveryRequest): Promise<void> {
    return this.#stream.write(encode('envoy.service.discovery.v3.DeltaDiscoveryRequest', request));
  }

  sendBytes(bytes: Uint8Array): Promise<void> {
    return this.#stream.write(bytes);
  }

  async receive() {
    const next = await this.#messages.next();
    assert.equal(next.done, false);
    return decode('envoy.service.discovery.v3.DeltaDiscoveryResponse', next.value as Buffer);
  }
}

const cluster = (name: string) => ({ name, connectTimeout: '1s' });

describe('who may connect', () => {
  const request: DeltaDiscoveryRequest = { node: shopNode, typeUrl: TypeUrl.cluster };
  const firstAnswer = async (channel: GrpcChannel, first = request, metadata: Record<string, string> = {}) => {
    const client = new DeltaClient(await channel.stream(DELTA, { metadata }));
    await client.send(first);
    return client.receive();
  };

  it('lets a certificate of the namespace in, also a token', async () => {
    const running = await start(true);
    running.source.change({ [TypeUrl.cluster]: { c: cluster('c') } });
    const byCertificate = await firstAnswer(open(running, { namespace: 'shop', serviceAccount: 'cart' }));
    assert.deepEqual(
      byCertificate.resources?.map((resource) => resource.name),
      ['c'],
    );
    assert.equal(byCertificate.controlPlane?.identifier, 'test');
    await firstAnswer(open(running, 'tls'), request, { authorization: 'Bearer cart' });
    assert.deepEqual(
      running.source.nodes.map((node) => node.identity),
      ['spiffe://cluster.local/ns/shop/sa/cart', 'spiffe://cluster.local/ns/shop/sa/cart'],
    );
  });

  it('a token proves nothing on the plain port: what it gives could be read on the way', async () => {
    const running = await start(false);
    await firstAnswer(open(running), request, { authorization: 'Bearer cart' });
    assert.deepEqual(
      running.source.nodes.map((node) => node.identity),
      [undefined],
    );
  });

  it('a workload of another mesh that has the same root is nobody', async () => {
    const running = await start(true);
    const foreign = { trustDomain: 'other.example', namespace: 'shop', serviceAccount: 'cart' };
    await assert.rejects(firstAnswer(open(running, foreign)), {
      status: 'UNAUTHENTICATED',
      message: /another trust domain than cluster\.local/,
    });
  });

  it('a token that cannot be checked now may be shown again', async () => {
    const running = await start(true);
    await assert.rejects(firstAnswer(open(running, 'tls'), request, { authorization: 'Bearer unchecked' }), {
      status: 'UNAVAILABLE',
    });
  });

  it('refuses others, and nodes that are none', async () => {
    const running = await start(true);
    const rejects = (answer: Promise<unknown>, status: string, message: RegExp) =>
      assert.rejects(answer, (error: { status: string; message: string }) => {
        assert.equal(error.status, status);
        assert.match(error.message, message);
        return true;
      });
    await rejects(firstAnswer(open(running, 'tls')), 'UNAUTHENTICATED', /client certificate/);
    await rejects(
      firstAnswer(open(running, 'tls'), request, { authorization: 'Bearer x' }),
      'UNAUTHENTICATED',
      /not accepted/,
    );
    await rejects(
      firstAnswer(open(running, { namespace: 'other', serviceAccount: 'cart' })),
      'UNAUTHENTICATED',
      /no identity of shop\/cart/,
    );
    await rejects(
      firstAnswer(open(running, { namespace: 'shop', serviceAccount: 'other' })),
      'UNAUTHENTICATED',
      /no identity of shop\/cart/,
    );
    const channel = open(running, { namespace: 'shop', serviceAccount: 'cart' });
    await rejects(firstAnswer(channel, { typeUrl: TypeUrl.cluster }), 'INVALID_ARGUMENT', /no node/);
    await rejects(firstAnswer(channel, { node: shopNode }), 'INVALID_ARGUMENT', /type_url/);
    for (const id of ['x', 'sidecar~nonsense~a.b~c', 'spaceship~10.0.0.1~a.b~c', 'sidecar~10.0.0.1~a~c'])
      await rejects(firstAnswer(channel, { node: { id }, typeUrl: TypeUrl.cluster }), 'INVALID_ARGUMENT', /node id/);
    assert.equal(running.source.openViews, 0);
  });
});

describe('a stream', () => {
  it('ends with INVALID_ARGUMENT for bytes that are no request', async () => {
    const running = await start(false);
    const client = new DeltaClient(await open(running).stream(DELTA));
    await client.sendBytes(Buffer.from([0x0a, 0xff]));
    await assert.rejects(client.receive(), { status: 'INVALID_ARGUMENT' });
  });

  it('is bounded in types', async () => {
    const running = await start(false);
    const client = new DeltaClient(await open(running).stream(DELTA));
    const failed = (async () => {
      for (;;) await client.receive();
    })();
    failed.catch(() => {});
    for (let index = 0; index < 100; index++)
      await client.send({ node: shopNode, typeUrl: `example/${index}` }).catch(() => {});
    await assert.rejects(failed, { status: 'RESOURCE_EXHAUSTED' });
    assert.equal(running.connections.size, 0);
    assert.equal(running.source.openViews, 0);
  });

  it('holds one response for a client that does not answer, then sends the newest', async () => {
    const running = await start(false);
    running.source.change({ [TypeUrl.cluster]: { c: cluster('c') } });
    const client = new DeltaClient(await open(running).stream(DELTA));
    await client.send({ node: shopNode, typeUrl: TypeUrl.cluster });
    const first = await client.receive();
    for (let round = 2; round < 20; round++) {
      running.source.change({
        [TypeUrl.cluster]: { c: { name: 'c', connectTimeout: `${round}s` }, [`d${round}`]: cluster('d') },
      });
      await new Promise((resolve) => setImmediate(resolve));
    }
    await client.send({ typeUrl: TypeUrl.cluster, responseNonce: first.nonce });
    const second = await client.receive();
    assert.equal(second.resources?.length, 19);
    assert.equal((second.resources?.[0]?.resource as { connectTimeout?: string } | undefined)?.connectTimeout, '19s');
    assert.match(running.metrics.text(), /pilot_xds_pushes\{type="cds"\} 2/);
  });

  it('is ended and cleaned up by force_disconnect', async () => {
    const running = await start(false);
    const client = new DeltaClient(await open(running).stream(DELTA));
    await client.send({ node: shopNode, typeUrl: TypeUrl.cluster });
    await client.receive();
    assert.match(running.metrics.text(), /pilot_xds\{version="test"\} 1/);
    running.connections.find('pod-1.shop')?.disconnect();
    await assert.rejects(client.receive(), { status: 'UNAVAILABLE' });
    assert.equal(running.connections.size, 0);
    assert.match(running.metrics.text(), /pilot_xds\{version="test"\} 0/);
  });
});

describe('debug types', () => {
  const ask = async (channel: GrpcChannel, typeUrl: string, names: readonly string[] = []) => {
    const stream = await channel.stream(WORLD);
    const request: DiscoveryRequest = {
      node: { id: 'debug~0.0.0.0~istioctl~cluster.local' },
      typeUrl,
      resourceNames: names,
    };
    await stream.write(encode('envoy.service.discovery.v3.DiscoveryRequest', request));
    const next = await stream.messages().next();
    stream.cancel();
    return decode('envoy.service.discovery.v3.DiscoveryResponse', next.value as Buffer);
  };

  it('tell the state of the proxies', async () => {
    const running = await start(false);
    running.source.change({ [TypeUrl.cluster]: { c: cluster('c') } });
    const client = new DeltaClient(await open(running).stream(DELTA));
    await client.send({ node: shopNode, typeUrl: TypeUrl.cluster });
    const response = await client.receive();
    const channel = open(running);
    const stateOf = async () => {
      const answer = await ask(channel, 'istio.io/debug/syncz');
      const config = answer.resources?.[0] as unknown as {
        node: Node;
        genericXdsConfigs: { typeUrl: string; configStatus: string }[];
      };
      assert.equal(config.node.id, shopNode.id);
      assert.equal(config.genericXdsConfigs[0]?.typeUrl, TypeUrl.cluster);
      return config.genericXdsConfigs[0]?.configStatus;
    };
    assert.equal(await stateOf(), 'STALE');
    await client.send({ typeUrl: TypeUrl.cluster, responseNonce: response.nonce });
    for (const deadline = Date.now() + 120_000; (await stateOf()) !== 'SYNCED'; ) assert.ok(Date.now() < deadline);

    const dump = await ask(channel, 'istio.io/debug', ['config_dump?proxyID=pod-1.shop']);
    const bytes = (dump.resources?.[0] as unknown as { value: string } | undefined)?.value ?? '';
    const json = JSON.parse(Buffer.from(bytes, 'base64').toString());
    assert.equal(json.configs[0].dynamicActiveClusters[0].cluster.name, 'c');
    await assert.rejects(ask(channel, 'istio.io/debug', ['nonsense']), { status: 'NOT_FOUND' });
  });
});
