import assert from 'node:assert/strict';
import http2 from 'node:http2';
import type { AddressInfo } from 'node:net';
import { describe, it } from 'node:test';
import { defaultMeshConfig } from '@istio-ts/api';
import { decode, encode } from '@istio-ts/envoy';
import { createGrpcServer } from '@istio-ts/envoy/grpc';
import { createMesh, MeshSources } from '@istio-ts/mesh';
import { MetricsRegistry } from '@istio-ts/metrics';
import { createEngine, encodedResources } from '@istio-ts/xds';
import { istioObject, serviceObject, sliceObject } from '@istio-ts/xds/testing/objects';
import { eventually } from '@istio-ts/envoy/testing/eventually';
import { createAdsMetrics } from '../metrics/pilot.ts';
import { TypeUrl } from './resource-kinds.ts';
import { createAdsServer } from './server.ts';
import { silent } from '../silent-log.test-support.ts';

const SERVICES = 60;
const HEALTHY = 20;

/** A client of clusters; a stuck one reads nothing after its first response, a silent one acknowledges nothing. */
class Client {
  readonly #stream: http2.ClientHttp2Stream;
  readonly #session: http2.ClientHttp2Session;
  readonly #kind: 'healthy' | 'stuck' | 'silent';
  #bytes = Buffer.alloc(0);
  responses = 0;
  /** Subsets that it has heard of, from the names of clusters. */
  readonly subsets = new Set<string>();

  constructor(port: number, index: number, kind: 'healthy' | 'stuck' | 'silent') {
    this.#kind = kind;
    this.#session = http2.connect(`http://127.0.0.1:${port}`, { settings: { initialWindowSize: 16_384 } });
    this.#session.on('error', () => {});
    this.#stream = this.#session.request({
      ':method': 'POST',
      ':path': '/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources',
      'content-type': 'application/grpc',
      te: 'trailers',
    });
    this.#stream.on('error', () => {});
    this.#stream.on('data', (chunk: Buffer) => this.#receive(chunk));
    this.#send({
      node: { id: `sidecar~10.0.0.${index + 1}~p${index}.default~default.svc.cluster.local` },
      typeUrl: TypeUrl.cluster,
    });
  }

  #send(request: object): void {
    const bytes = encode('envoy.service.discovery.v3.DeltaDiscoveryRequest', request);
    const head = Buffer.alloc(5);
    head.writeUInt32BE(bytes.length, 1);
    this.#stream.write(Buffer.concat([head, bytes]));
  }

  #receive(chunk: Buffer): void {
    this.#bytes = Buffer.concat([this.#bytes, chunk]);
    while (this.#bytes.length >= 5) {
      const length = this.#bytes.readUInt32BE(1);
      if (this.#bytes.length < 5 + length) return;
      const response = decode('envoy.service.discovery.v3.DeltaDiscoveryResponse', this.#bytes.subarray(5, 5 + length));
      this.#bytes = this.#bytes.subarray(5 + length);
      this.responses++;
      for (const { name } of response.resources ?? []) this.subsets.add(name?.split('|')[2] ?? '');
      if (this.#kind === 'stuck') this.#stream.pause();
      if (this.#kind === 'healthy') this.#send({ typeUrl: TypeUrl.cluster, responseNonce: response.nonce });
    }
  }

  close(): void {
    this.#session.destroy();
  }
}

describe('slow and stuck proxies among others', () => {
  it('keep nobody waiting and nothing in memory, and a change encodes exactly what it changes', async () => {
    const sources = new MeshSources({ meshConfig: defaultMeshConfig() });
    const engine = createEngine(createMesh(sources));
    const ads = createAdsServer({
      source: engine,
      trustDomain: 'cluster.local',
      systemNamespace: 'istio-system',
      controlPlaneId: '{}',
      metrics: createAdsMetrics(new MetricsRegistry(), 'test'),
      log: silent,
      now: Date.now,
    });
    const server = createGrpcServer({ methods: ads.methods });
    const { port } = (await server.listen({ host: '127.0.0.1', port: 0 })) as AddressInfo;
    sources.batch(() => {
      for (let i = 0; i < SERVICES; i++) {
        sources.set(
          serviceObject({ name: `s${i}` }, [{ name: 'http', port: 80 }], {
            clusterIP: `10.96.0.${i}`,
            clusterIPs: [`10.96.0.${i}`],
          }),
        );
        sources.set(sliceObject(`s${i}`, [{ name: 'http', port: 80 }], [{ ip: `10.1.0.${i}` }]));
      }
    });
    const clients = Array.from(
      { length: HEALTHY + 2 },
      (_, i) => new Client(port, i, i === 0 ? 'stuck' : i === 1 ? 'silent' : 'healthy'),
    );
    const [stuck, silentOne, ...healthy] = clients;
    try {
      await eventually('everybody has clusters', () => clients.every(({ responses }) => responses > 0));
      const encoded = (): number => [...encodedResources().values()].reduce((sum, count) => sum + count, 0);
      const change = async (subset: string): Promise<void> => {
        sources.set(
          istioObject(
            'DestinationRule',
            { name: 'rule' },
            { host: 's0', subsets: [{ name: subset, labels: { version: subset } }] },
          ),
        );
        await eventually(`the healthy ones know ${subset}`, () => healthy.every(({ subsets }) => subsets.has(subset)));
      };
      await change('first');
      const before = { encoded: encoded(), memory: process.memoryUsage().arrayBuffers };
      const changes = 50;
      for (let k = 0; k < changes; k++) await change(`v${k}`);
      // Each changes the service's own cluster and adds one for the subset; nobody asked for endpoints.
      assert.equal(encoded() - before.encoded, 2 * changes);
      assert.equal(silentOne?.responses, 1, 'nothing is sent on top of what is unanswered');
      assert.ok((stuck?.responses ?? 0) <= 1);
      for (const proxy of ads.connections.all()) {
        const [status] = proxy.statuses();
        const isHealthy = status?.state === 'SYNCED';
        if (!isHealthy) assert.equal(status?.pending, true);
      }
      // A full configuration is some 100 KiB: 50 of them for each of two would be seen.
      assert.ok(process.memoryUsage().arrayBuffers - before.memory < 5 * 1024 * 1024);
    } finally {
      for (const client of clients) client.close();
      await server.close(0);
      engine.close();
    }
  });
});
