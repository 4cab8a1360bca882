// A proxy's delta ADS stream without the proxy: asks, acknowledges, and keeps what it was given.
import { decode, type DeltaDiscoveryRequest, encode, type Node } from '@istio-ts/envoy';
import { type CallOptions, type ClientStream, openGrpcChannel } from '@istio-ts/envoy/grpc';

const DELTA = '/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources';
const PREFIX = 'type.googleapis.com/';
const MESSAGES = {
  cluster: 'envoy.config.cluster.v3.Cluster',
  endpoint: 'envoy.config.endpoint.v3.ClusterLoadAssignment',
  listener: 'envoy.config.listener.v3.Listener',
  route: 'envoy.config.route.v3.RouteConfiguration',
} as const;
export type AdsKind = keyof typeof MESSAGES;

export interface AdsClient {
  /** Asks for the resources of a kind: all of them, or those with these names. */
  ask(kind: AdsKind, names?: readonly string[]): Promise<void>;
  /** What the server has given of a kind and not taken away, as ProtoJSON. */
  get(kind: AdsKind): ReadonlyMap<string, unknown>;
  close(): void;
}

/** Opens the stream. An error of the stream is thrown by the next call. */
export async function openAds(
  target: Parameters<typeof openGrpcChannel>[0],
  node: Node,
  options: CallOptions = {},
): Promise<AdsClient> {
  const channel = openGrpcChannel(target);
  const stream: ClientStream = await channel.stream(DELTA, options);
  const state = Object.fromEntries(Object.keys(MESSAGES).map((kind) => [kind, new Map<string, unknown>()])) as Record<
    AdsKind,
    Map<string, unknown>
  >;
  let failure: Error | undefined;
  let isFirst = true;
  const send = async (request: DeltaDiscoveryRequest): Promise<void> => {
    if (failure) throw failure;
    const first = isFirst;
    isFirst = false;
    await stream.write(
      encode('envoy.service.discovery.v3.DeltaDiscoveryRequest', { ...(first && { node }), ...request }),
    );
  };
  const read = async (): Promise<void> => {
    for await (const bytes of stream.messages()) {
      const response = decode('envoy.service.discovery.v3.DeltaDiscoveryResponse', bytes);
      const { typeUrl = '', nonce = '' } = response;
      const kind = (Object.keys(MESSAGES) as AdsKind[]).find((one) => PREFIX + MESSAGES[one] === typeUrl);
      if (kind !== undefined) {
        for (const { name = '', resource } of response.resources ?? []) state[kind].set(name, resource);
        for (const name of response.removedResources ?? []) state[kind].delete(name);
      }
      await send({ typeUrl, responseNonce: nonce });
    }
    throw new Error('the server ended the stream');
  };
  read().catch((error: Error) => {
    failure = error;
  });
  return {
    ask: (kind, names = []) => send({ typeUrl: PREFIX + MESSAGES[kind], resourceNamesSubscribe: [...names] }),
    get: (kind) => {
      if (failure) throw failure;
      return state[kind];
    },
    close: () => {
      stream.cancel();
      channel.close();
    },
  };
}
