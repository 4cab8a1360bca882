// One simulated sidecar: a delta ADS stream in plain text that behaves as Envoy does, without the traffic.
import http2 from 'node:http2';
import { decode, encode } from '@istio-ts/envoy';
import type { Identity } from './fixture.ts';
import { eachField, scanDelta, type ScannedResource } from './wire.ts';

const PREFIX = 'type.googleapis.com/';
export const TYPES = {
  cds: `${PREFIX}envoy.config.cluster.v3.Cluster`,
  eds: `${PREFIX}envoy.config.endpoint.v3.ClusterLoadAssignment`,
  lds: `${PREFIX}envoy.config.listener.v3.Listener`,
  rds: `${PREFIX}envoy.config.route.v3.RouteConfiguration`,
  vhds: `${PREFIX}envoy.config.route.v3.VirtualHost`,
} as const;
export type Kind = keyof typeof TYPES;
const kindOf = new Map<string, Kind>(Object.entries(TYPES).map(([kind, url]) => [url, kind as Kind]));

/** What all proxies share: counters, and what is looked for. */
export interface Crowd {
  readonly bytes: Record<Kind, number>;
  readonly responses: Record<Kind, number>;
  lastActivity: number;
  watch: Watch | undefined;
  ended: (proxy: Sidecar, reason: string) => void;
  ready: (proxy: Sidecar) => void;
}

/** Looks for the first response of certain kinds that contains a text, on every proxy. */
export interface Watch {
  readonly kinds: readonly Kind[];
  readonly marker: Buffer;
  /** Milliseconds since 1970 of the arrival, by proxy; 0 for none yet. */
  readonly at: Float64Array;
  left: number;
  done: () => void;
}

/** Contents are hashes of themselves, so what is known of one version of a resource holds for all proxies. */
const isEds = new Map<string, boolean>();
const routesOfListener = new Map<string, readonly string[]>();
const needsHosts = new Map<string, boolean>();

/** Field `eds_cluster_config` of a Cluster. */
function usesEds(bytes: Buffer, { name, version, start, end }: ScannedResource): boolean {
  const key = `${name} ${version}`;
  let known = isEds.get(key);
  if (known === undefined) {
    known = false;
    eachField(bytes, start, end, (field) => {
      if (field === 3) known = true;
    });
    isEds.set(key, known);
  }
  return known;
}

function routeNames(bytes: Buffer, { name, version, start, end }: ScannedResource): readonly string[] {
  const key = `${name} ${version}`;
  const known = routesOfListener.get(key);
  if (known !== undefined) return known;
  const text = JSON.stringify(decode('envoy.config.listener.v3.Listener', bytes.subarray(start, end)));
  const names = [...text.matchAll(/"routeConfigName":"([^"]+)"/g)].map((match) => match[1] ?? '');
  routesOfListener.set(key, [...new Set(names)]);
  return names;
}

/** Field `vhds` of a RouteConfiguration. */
function waitsForHosts(bytes: Buffer, { name, version, start, end }: ScannedResource): boolean {
  const key = `${name} ${version}`;
  let known = needsHosts.get(key);
  if (known === undefined) {
    known = false;
    eachField(bytes, start, end, (field) => {
      if (field === 9) known = true;
    });
    needsHosts.set(key, known);
  }
  return known;
}

/** A DeltaDiscoveryRequest of a type (field 2) with a nonce (field 6) and nothing else, framed: there are too many of them to encode each. */
function acknowledgement(kind: Kind, nonce: string): Buffer {
  const url = TYPES[kind];
  const length = 4 + url.length + nonce.length;
  const message = Buffer.allocUnsafe(5 + length);
  message[0] = 0;
  message.writeUInt32BE(length, 1);
  message[5] = 0x12;
  message[6] = url.length;
  message.write(url, 7, 'latin1');
  const at = 7 + url.length;
  message[at] = 0x32;
  message[at + 1] = nonce.length;
  message.write(nonce, at + 2, 'latin1');
  return message;
}

export interface SidecarOptions {
  readonly index: number;
  readonly identity: Identity;
  readonly address: { readonly host: string; readonly port: number };
  readonly incrementalRoutes: boolean;
}

export class Sidecar {
  readonly index: number;
  readonly #options: SidecarOptions;
  readonly #crowd: Crowd;
  #session: http2.ClientHttp2Session | undefined;
  #stream: http2.ClientHttp2Stream | undefined;
  #chunks: Buffer[] = [];
  #buffered = 0;
  readonly #asked = new Set<Kind>();
  readonly #has = new Set<Kind>();
  readonly #endpoints = new Set<string>();
  readonly #routes = new Set<string>();
  /** Route configurations whose virtual hosts have not come yet. */
  readonly #waiting = new Set<string>();
  isReady = false;
  /** Milliseconds to wait before each acknowledgement: a slow proxy. */
  #ackDelayMs = 0;

  constructor(options: SidecarOptions, crowd: Crowd) {
    this.#options = options;
    this.index = options.index;
    this.#crowd = crowd;
  }

  connect(): void {
    const { host, port } = this.#options.address;
    const session = http2.connect(`http://${host}:${port}`, { settings: { initialWindowSize: 1024 * 1024 } });
    this.#session = session;
    let over = false;
    const end = (reason: string): void => {
      if (over) return;
      over = true;
      session.destroy();
      this.#crowd.ended(this, reason);
    };
    session.on('error', (error) => end(error.message));
    session.on('close', () => end('closed'));
    session.once('connect', () => session.setLocalWindowSize(1024 * 1024));
    const stream = session.request({
      ':method': 'POST',
      ':path': '/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources',
      'content-type': 'application/grpc',
      te: 'trailers',
    });
    this.#stream = stream;
    stream.on('data', (chunk: Buffer) => this.#receive(chunk));
    stream.on('error', (error) => end(error.message));
    stream.on('trailers', (trailers) => end(`${trailers['grpc-status']} ${trailers['grpc-message'] ?? ''}`));
    stream.on('response', (headers) => {
      if (headers['grpc-status'] !== undefined && headers['grpc-status'] !== '0')
        end(`${headers['grpc-status']} ${headers['grpc-message'] ?? ''}`);
    });
    this.#ask('cds', []);
  }

  /** Acknowledges late from now on. */
  slowDown(ackDelayMs: number): void {
    this.#ackDelayMs = ackDelayMs;
  }

  /** Reads nothing any more, and so acknowledges nothing. */
  stick(): void {
    this.#stream?.pause();
  }

  /** Connects again from nothing. */
  reconnect(): void {
    this.#chunks = [];
    this.#buffered = 0;
    for (const set of [this.#asked, this.#has, this.#endpoints, this.#routes, this.#waiting]) set.clear();
    this.connect();
  }

  close(): void {
    this.#crowd.ended = () => {};
    this.#session?.destroy();
  }

  #node(): object {
    const { pod, namespace, ip, app } = this.#options.identity;
    return {
      id: `sidecar~${ip}~${pod}.${namespace}~${namespace}.svc.cluster.local`,
      cluster: `${app}.${namespace}`,
      metadata: {
        NAMESPACE: namespace,
        CLUSTER_ID: 'Kubernetes',
        INSTANCE_IPS: ip,
        SERVICE_ACCOUNT: 'default',
        WORKLOAD_NAME: app,
        ISTIO_VERSION: '1.30.0',
        LABELS: { app, version: 'v1' },
        ...(this.#options.incrementalRoutes && { INCREMENTAL_ROUTES: 'true' }),
      },
      userAgentName: 'envoy',
      userAgentBuildVersion: { version: { majorNumber: 1, minorNumber: 40, patch: 0 } },
    };
  }

  #ask(kind: Kind, subscribe: readonly string[], nonce = ''): void {
    const isFirst = this.#asked.size === 0;
    this.#asked.add(kind);
    this.#send({
      ...(isFirst && { node: this.#node() }),
      typeUrl: TYPES[kind],
      ...(subscribe.length > 0 && { resourceNamesSubscribe: subscribe }),
      ...(nonce !== '' && { responseNonce: nonce }),
    });
  }

  #send(request: object): void {
    const bytes = encode('envoy.service.discovery.v3.DeltaDiscoveryRequest', request);
    const message = Buffer.allocUnsafe(5 + bytes.length);
    message[0] = 0;
    message.writeUInt32BE(bytes.length, 1);
    message.set(bytes, 5);
    this.#write(message);
  }

  #write(message: Buffer): void {
    if (this.#stream?.destroyed === false) this.#stream.write(message);
  }

  #receive(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#buffered += chunk.length;
    for (;;) {
      if (this.#buffered < 5) return;
      let first = this.#chunks[0] as Buffer;
      if (first.length < 5) {
        first = Buffer.concat(this.#chunks);
        this.#chunks = [first];
      }
      const length = first.readUInt32BE(1);
      if (this.#buffered < 5 + length) return;
      const all = this.#chunks.length === 1 ? first : Buffer.concat(this.#chunks);
      const rest = all.subarray(5 + length);
      this.#chunks = rest.length > 0 ? [rest] : [];
      this.#buffered = rest.length;
      this.#handle(all.subarray(5, 5 + length));
    }
  }

  #handle(bytes: Buffer): void {
    const now = performance.timeOrigin + performance.now();
    const response = scanDelta(bytes);
    const kind = kindOf.get(response.typeUrl);
    if (kind === undefined) throw new Error(`a response of type ${response.typeUrl}`);
    const crowd = this.#crowd;
    crowd.bytes[kind] += bytes.length;
    crowd.responses[kind]++;
    crowd.lastActivity = now;
    const { watch } = crowd;
    if (watch?.kinds.includes(kind) && watch.at[this.index] === 0 && bytes.includes(watch.marker)) {
      watch.at[this.index] = now;
      if (--watch.left === 0) watch.done();
    }
    const more = this.#apply(kind, bytes, response);
    const delay = this.#ackDelayMs;
    const acknowledge = (): void => {
      this.#write(acknowledgement(kind, response.nonce));
      for (const [next, names] of more) this.#ask(next, names);
    };
    if (delay === 0) acknowledge();
    else setTimeout(acknowledge, delay);
    this.#has.add(kind);
    this.#settle();
  }

  /** Takes a response in and returns what is to be subscribed to because of it. */
  #apply(kind: Kind, bytes: Buffer, response: ReturnType<typeof scanDelta>): readonly (readonly [Kind, string[]])[] {
    const fresh: string[] = [];
    switch (kind) {
      case 'cds': {
        for (const cluster of response.resources)
          if (!this.#endpoints.has(cluster.name) && usesEds(bytes, cluster)) {
            this.#endpoints.add(cluster.name);
            fresh.push(cluster.name);
          }
        for (const name of response.removed) this.#endpoints.delete(name);
        return fresh.length > 0 ? [['eds', fresh]] : [];
      }
      case 'eds':
        return this.#asked.has('lds') ? [] : [['lds', []]];
      case 'lds': {
        for (const listener of response.resources)
          for (const name of routeNames(bytes, listener))
            if (!this.#routes.has(name)) {
              this.#routes.add(name);
              fresh.push(name);
            }
        return fresh.length > 0 ? [['rds', fresh]] : [];
      }
      case 'rds': {
        let first = false;
        for (const route of response.resources)
          if (!this.#has.has('rds') && waitsForHosts(bytes, route)) {
            this.#waiting.add(route.name);
            first = true;
          }
        return first && !this.#asked.has('vhds') ? [['vhds', []]] : [];
      }
      case 'vhds':
        for (const { name } of response.resources) this.#waiting.delete(name.slice(0, name.lastIndexOf('/')));
        for (const name of response.removed) this.#waiting.delete(name.slice(0, name.lastIndexOf('/')));
        return [];
    }
  }

  #settle(): void {
    if (this.isReady || !(['cds', 'eds', 'lds', 'rds'] as const).every((kind) => this.#has.has(kind))) return;
    if (this.#waiting.size > 0) return;
    this.isReady = true;
    this.#crowd.ready(this);
  }
}
