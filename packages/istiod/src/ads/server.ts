import {
  DecodeError,
  type DeltaDiscoveryRequest,
  type DiscoveryRequest,
  decode,
  encode,
  type Node,
} from '@istio-ts/envoy';
import { NAME_TABLE_TYPE } from '@istio-ts/envoy/name-table';
import { GrpcError, type MethodHandler, type ServerCall } from '@istio-ts/envoy/grpc';
import type { ProxyConfigSource, ProxyNode } from '@istio-ts/xds';
import type { Logger } from '../log.ts';
import type { AdsMetrics } from '../metrics/pilot.ts';
import { type Authentication, provedIdentities } from '../grpc/proved-identities.ts';
import { type ConnectedProxy, Connections } from './connections.ts';
import { answerDebugRequest, type DebugCaller, isDebugType } from './debug-stream.ts';
import { DeltaWatch } from './delta-watch.ts';
import { matchIdentity, parseNode, takesRoutesHostByHost } from './node.ts';
import { shortName } from './resource-kinds.ts';
import { deltaResponse, discoveryResponse, type PushResponse, sizeOf } from './response.ts';
import { HostWatch } from './host-watch.ts';
import { LargeResponses } from './large-responses.ts';
import { Session } from './session.ts';
import type { Answer, Watch } from './watch.ts';
import { WorldWatch } from './world-watch.ts';

const SERVICE = '/envoy.service.discovery.v3.AggregatedDiscoveryService';
/** Limits for what a client may make the server remember. */
const MAX_TYPES = 64;
const MAX_NAMES_PER_REQUEST = 100_000;
const HEALTH_TYPE = 'type.googleapis.com/istio.v1.HealthInformation';
/** What agents ask for or tell themselves. */
const AGENT_TYPES: ReadonlySet<string> = new Set([NAME_TABLE_TYPE, HEALTH_TYPE]);

export interface AdsServerOptions extends Authentication {
  readonly source: ProxyConfigSource;
  /** Shared with whoever looks at the connected proxies; default its own. */
  readonly connections?: Connections;
  /** Where istiod runs: identities of it may read everything by the debug types. */
  readonly systemNamespace: string;
  /** Further namespaces whose identities may (DEBUG_ENDPOINT_AUTH_ALLOWED_NAMESPACES). */
  readonly debugNamespaces?: readonly string[];
  /** Says who answers, in every response (`{"Component":"istiod","ID":…,"Info":{"version":…}}`). */
  readonly controlPlaneId: string;
  /** Whether a proxy's identity must be of its namespace (PILOT_ENABLE_XDS_IDENTITY_CHECK); default true. */
  readonly checkIdentity?: boolean;
  /** Counts streams that begin; false where there are too many (PILOT_MAX_REQUESTS_PER_SECOND): the client comes again. */
  readonly admits?: () => boolean;
  readonly metrics: AdsMetrics;
  readonly log: Logger;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Answers a debug command such as `syncz` or `config_dump?proxyID=…` by the text that HTTP would give; undefined for unknown ones. */
  readonly debug?: (command: string, caller: DebugCaller) => string | undefined;
  /** A response is about to go out. */
  readonly onResponse?: () => void;
  /** A proxy reports the health of its workload (an agent outside Kubernetes). */
  readonly onHealth?: (node: ProxyNode, health: { readonly healthy: boolean; readonly message: string }) => void;
  /** A proxy has connected or gone. */
  readonly onConnection?: (proxy: ConnectedProxy, state: 'connected' | 'disconnected') => void;
}

export interface AdsServer {
  /** The gRPC methods of the aggregated discovery service, for the plain and the encrypted port alike. */
  readonly methods: Readonly<Record<string, MethodHandler>>;
  readonly connections: Connections;
}

/** What a request of either protocol has in common. */
interface Request {
  readonly node?: Node;
  readonly typeUrl?: string;
  readonly responseNonce?: string;
  readonly errorDetail?: { readonly code?: number; readonly message?: string };
}

interface Protocol<W extends Watch, R extends Request> {
  readonly name: ConnectedProxy['protocol'];
  readonly decode: (bytes: Buffer) => R;
  readonly makeWatch: (typeUrl: string) => W;
  /** Gives the request to the type's watch. */
  readonly receive: (watch: W | HostWatch, request: R, now: number) => Answer;
  readonly names: (request: R) => readonly string[];
  readonly encode: (response: PushResponse, controlPlane: Uint8Array) => Uint8Array[];
}

const WORLD: Protocol<WorldWatch, DiscoveryRequest> = {
  name: 'sotw',
  decode: (bytes) => decode('envoy.service.discovery.v3.DiscoveryRequest', bytes),
  makeWatch: (typeUrl) => new WorldWatch(typeUrl),
  receive: (watch, request, now) =>
    watch instanceof HostWatch
      ? 'stale'
      : watch.receive({ ...answerOf(request), names: request.resourceNames ?? [] }, now),
  names: (request) => request.resourceNames ?? [],
  encode: discoveryResponse,
};

const DELTA: Protocol<DeltaWatch, DeltaDiscoveryRequest> = {
  name: 'delta',
  decode: (bytes) => decode('envoy.service.discovery.v3.DeltaDiscoveryRequest', bytes),
  makeWatch: (typeUrl) => new DeltaWatch(typeUrl),
  receive: (watch, request, now) =>
    watch.receive(
      {
        ...answerOf(request),
        subscribe: request.resourceNamesSubscribe ?? [],
        unsubscribe: request.resourceNamesUnsubscribe ?? [],
        initialVersions: request.initialResourceVersions ?? {},
      },
      now,
    ),
  names: (request) => [
    ...(request.resourceNamesSubscribe ?? []),
    ...Object.keys(request.initialResourceVersions ?? {}),
  ],
  encode: deltaResponse,
};

function answerOf(request: Request): { nonce: string; error: string | undefined } {
  const { errorDetail } = request;
  const error = errorDetail === undefined ? undefined : (errorDetail.message ?? `code ${errorDetail.code ?? 0}`);
  return { nonce: request.responseNonce ?? '', error };
}

/** The aggregated discovery service: gives every connected proxy what the source has for it, in both xDS protocols. */
export function createAdsServer(options: AdsServerOptions): AdsServer {
  const connections = options.connections ?? new Connections();
  const large = new LargeResponses();
  const controlPlane = encode('envoy.config.core.v3.ControlPlane', { identifier: options.controlPlaneId });
  const handler = <W extends Watch, R extends Request>(protocol: Protocol<W, R>): MethodHandler => ({
    kind: 'stream',
    handle: (call) => new AdsStream(call, protocol, connections, controlPlane, large, options).run(),
  });
  return {
    methods: {
      [`${SERVICE}/StreamAggregatedResources`]: handler(WORLD),
      [`${SERVICE}/DeltaAggregatedResources`]: handler(DELTA),
    },
    connections,
  };
}

/** One stream of one client, from its authentication to its end. */
class AdsStream<W extends Watch, R extends Request> {
  readonly #call: ServerCall;
  readonly #protocol: Protocol<W, R>;
  readonly #connections: Connections;
  readonly #controlPlane: Uint8Array;
  readonly #large: LargeResponses;
  readonly #options: AdsServerOptions;
  /** Undefined on the plain port. */
  #identities: readonly string[] | undefined;
  #session: Session<W> | undefined;
  #debugNonce = 0;
  /** Why the stream has to end, although its client would go on. */
  #end: { readonly reason: unknown } | undefined;
  /** Ends the waiting for requests. */
  #interrupt: ((reason: unknown) => void) | undefined;

  constructor(
    call: ServerCall,
    protocol: Protocol<W, R>,
    connections: Connections,
    controlPlane: Uint8Array,
    large: LargeResponses,
    options: AdsServerOptions,
  ) {
    this.#call = call;
    this.#protocol = protocol;
    this.#connections = connections;
    this.#controlPlane = controlPlane;
    this.#large = large;
    this.#options = options;
  }

  async run(): Promise<void> {
    const { metrics } = this.#options;
    let proxy: ConnectedProxy | undefined;
    let isListed = false;
    try {
      if (this.#options.admits?.() === false)
        throw new GrpcError('RESOURCE_EXHAUSTED', 'too many proxies connect at a time: come again');
      this.#identities = await provedIdentities(this.#call, this.#options);
      const take = (bytes: Buffer): Promise<void> | undefined => {
        if (this.#end !== undefined) return undefined;
        metrics.received(bytes.length);
        const request = this.#decode(bytes);
        if (isDebugType(request.typeUrl ?? '')) return this.#answerDebug(request);
        if (this.#session === undefined) {
          proxy = this.#connect(request);
          metrics.clients.add(1);
        }
        // An agent may have a stream of its own beside that of its proxy: it is no second proxy.
        if (proxy !== undefined && !isListed && !AGENT_TYPES.has(request.typeUrl ?? '')) {
          isListed = true;
          this.#connections.add(proxy);
          this.#options.onConnection?.(proxy, 'connected');
        }
        this.#receive(request, this.#session);
        return undefined;
      };
      await this.#orEnd(this.#call.receive(take));
    } catch (error) {
      const type = error instanceof GrpcError ? error.status : 'INTERNAL';
      if (proxy !== undefined) metrics.connectionTerminations.add({ type });
      else metrics.connectionFailures.add({ type });
      if (!(error instanceof GrpcError && error.status === 'CANCELLED'))
        this.#options.log.warn(
          `${proxy?.connectionId ?? this.#call.peer.remoteAddress}: stream ended: ${error instanceof Error ? error.message : error}`,
        );
      throw error;
    } finally {
      this.#session?.close();
      if (proxy !== undefined) {
        metrics.clients.add(-1);
        if (isListed) {
          this.#connections.remove(proxy);
          this.#options.onConnection?.(proxy, 'disconnected');
        }
      }
    }
  }

  #endWith(reason: unknown): void {
    this.#end ??= { reason };
    this.#interrupt?.(this.#end.reason);
  }

  /** The result of `waiting`, unless the stream is ended before. */
  #orEnd<T>(waiting: Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#interrupt = reject;
      if (this.#end !== undefined) reject(this.#end.reason);
      waiting.then(resolve, reject);
    });
  }

  #decode(bytes: Buffer): R {
    let request: R;
    try {
      request = this.#protocol.decode(bytes);
    } catch (error) {
      if (error instanceof DecodeError) throw new GrpcError('INVALID_ARGUMENT', error.message);
      throw error;
    }
    if (request.typeUrl === undefined) throw new GrpcError('INVALID_ARGUMENT', 'a request without type_url');
    if (this.#protocol.names(request).length > MAX_NAMES_PER_REQUEST)
      throw new GrpcError('RESOURCE_EXHAUSTED', `more than ${MAX_NAMES_PER_REQUEST} names in one request`);
    return request;
  }

  #connect(request: R): ConnectedProxy {
    const { source, now, log } = this.#options;
    if (request.node === undefined) throw new GrpcError('INVALID_ARGUMENT', 'the first request has no node');
    let node = parseNode(request.node, undefined);
    const identities = this.#identities;
    if (identities !== undefined) {
      const check = this.#options.checkIdentity ?? true;
      node = { ...node, identity: check ? matchIdentity(node, identities) : identities[0] };
    }
    node = { ...node, incrementalRoutes: this.#protocol.name === 'delta' && takesRoutesHostByHost(node) };
    const view = source.connect(node);
    const session = new Session<W>({
      node,
      view,
      makeWatch: this.#protocol.makeWatch,
      send: (response) => {
        this.#options.onResponse?.();
        const { typeUrl, resources, removed, nonce } = response;
        const gone = removed.length > 0 ? `, ${removed.length} removed` : '';
        log.debug(`${node.id}: ${shortName(typeUrl)} sent: ${resources.length} resources${gone} (${nonce})`);
        const size = resources.reduce((sum, resource) => sum + sizeOf(resource), 0);
        return this.#large.send(size, () => this.#call.write(this.#protocol.encode(response, this.#controlPlane)));
      },
      metrics: this.#options.metrics,
      now,
      onRejection: (typeUrl, rejection) =>
        log.warn(`${node.id}: ${shortName(typeUrl)} was rejected: ${rejection.message}`),
      onFailure: (error) => {
        this.#options.metrics.internalErrors.add();
        this.#endWith(error);
      },
    });
    this.#session = session;
    return {
      connectionId: this.#connections.nextId(node),
      node,
      remoteAddress: this.#call.peer.remoteAddress,
      connectedAt: now(),
      protocol: this.#protocol.name,
      view,
      statuses: () => session.statuses(),
      disconnect: () => this.#endWith(new GrpcError('UNAVAILABLE', 'disconnected by the control plane')),
    };
  }

  #receive(request: R, session: Session<W> | undefined): void {
    const typeUrl = request.typeUrl ?? '';
    if (session === undefined) return;
    if (typeUrl === HEALTH_TYPE) {
      const { error } = answerOf(request);
      this.#options.onHealth?.(session.node, { healthy: error === undefined, message: error ?? '' });
      return;
    }
    if (!session.hasType(typeUrl) && session.typeCount >= MAX_TYPES)
      throw new GrpcError('RESOURCE_EXHAUSTED', `more than ${MAX_TYPES} resource types on one stream`);
    const watch = session.watch(typeUrl);
    const answer = this.#protocol.receive(watch, request, this.#options.now());
    session.received(watch, answer);
  }

  #answerDebug(request: R): Promise<void> | undefined {
    const typeUrl = request.typeUrl ?? '';
    // The acknowledgement of an answer asks for nothing.
    if ((request.responseNonce ?? '') !== '') return undefined;
    const caller: DebugCaller = {
      identities: this.#identities ?? [],
      isLocal: isLoopback(this.#call.peer.remoteAddress),
    };
    const resources = answerDebugRequest(typeUrl, this.#protocol.names(request), caller, {
      connections: this.#connections,
      systemNamespace: this.#options.systemNamespace,
      debugNamespaces: this.#options.debugNamespaces,
      run: this.#options.debug,
    });
    const nonce = `debug-${++this.#debugNonce}`;
    return this.#call.write(
      this.#protocol.encode({ typeUrl, nonce, version: nonce, resources, removed: [] }, this.#controlPlane),
    );
  }
}

function isLoopback(address: string): boolean {
  return address === '::1' || address.replace(/^::ffff:/, '').startsWith('127.');
}
