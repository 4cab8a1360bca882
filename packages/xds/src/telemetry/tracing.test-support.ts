import { createGrpcServer, type MethodHandler } from '@istio-ts/envoy/grpc';
import type { KubeObject } from '@istio-ts/kube/object';
import { receiverMethods } from '@istio-ts/telemetry/traces/grpc-receivers';
import { startTraceServer } from '@istio-ts/telemetry/traces/server';
import type { Span } from '@istio-ts/telemetry/traces/span';
import { type HttpAuthorizer, startHttpAuthorizer } from '../testing/authorizers.ts';
import { eventually } from '../testing/envoy.ts';
import { istioObject } from '../testing/objects.ts';
import { type LoopbackNet, loopbackApp, ORIGIN_PORT } from '../testing/offline-envoy.ts';

/** Real receivers of spans on addresses of the net, and services of the mesh in front of them. */
export interface SpanReceivers {
  readonly objects: readonly KubeObject[];
  /** Requests of tracers to the service `capture`, which keeps nothing else. */
  readonly captured: HttpAuthorizer['checks'];
  /** Metadata of calls to the gRPC receivers, by path. */
  readonly calls: readonly { readonly path: string; readonly metadata: Readonly<Record<string, unknown>> }[];
  spans(): readonly Span[];
  /** The spans of requests to a path, once there are so many. */
  of(path: string, count?: number): Promise<readonly Span[]>;
  /** One of them. */
  one(path: string): Promise<Span>;
  close(): Promise<void>;
}

const urlOf = ({ tags }: Span): string => String(tags['http.url'] ?? tags.url ?? '');

/** `host.namespace` of a receiver, as providers name it. */
export const receiver = (name: string): string => `${name}.tracing.svc.cluster.local`;

/** Starts the receivers on the addresses whose last bytes are 4 to 6. */
export async function startSpanReceivers(net: LoopbackNet): Promise<SpanReceivers> {
  const web = await startTraceServer({ host: net.ip(4), httpPorts: [ORIGIN_PORT], grpcPorts: [], version: 'test' });
  const calls: { path: string; metadata: Readonly<Record<string, unknown>> }[] = [];
  const heard = (method: MethodHandler): MethodHandler =>
    method.kind === 'unary'
      ? {
          kind: 'unary',
          handle: (bytes, call) => {
            calls.push({ path: call.path, metadata: call.metadata });
            return method.handle(bytes, call);
          },
        }
      : {
          kind: 'stream',
          handle: (call) => {
            calls.push({ path: call.path, metadata: call.metadata });
            return method.handle(call);
          },
        };
  const methods = Object.entries(receiverMethods((spans) => web.store.add(spans, Date.now())));
  const grpc = createGrpcServer({
    methods: Object.fromEntries(methods.map(([path, method]) => [path, heard(method)])),
  });
  await grpc.listen({ host: net.ip(5), port: ORIGIN_PORT });
  const capture = await startHttpAuthorizer(net.ip(6), ORIGIN_PORT, () => ({ status: 202 }));
  const spans = (): readonly Span[] =>
    web.store.find({ tags: {}, limit: Number.MAX_SAFE_INTEGER }).flatMap((trace) => [...trace]);
  const of = (path: string, count = 1): Promise<readonly Span[]> =>
    eventually(() => {
      const found = spans().filter((span) => urlOf(span).endsWith(path));
      return found.length >= count ? found : undefined;
    }, `${count} spans of ${path}`);
  const service = (name: string, last: number, port: number, protocol: string, to: number) =>
    loopbackApp(net, name, { last, port, protocol, namespace: 'tracing' }, [{ last: to }]);
  return {
    objects: [
      ...service('zipkin', 40, 9411, 'http', 4),
      ...service('otlp-http', 41, 4318, 'http', 4),
      ...service('datadog', 42, 8126, 'http', 4),
      ...service('otlp-grpc', 43, 4317, 'grpc', 5),
      ...service('skywalking', 44, 11_800, 'grpc', 5),
      ...service('lightstep', 45, 8080, 'grpc', 5),
      ...service('capture', 46, 9412, 'http', 6),
    ],
    captured: capture.checks,
    calls,
    spans,
    of,
    one: async (path) => {
      const [first] = await of(path);
      if (first === undefined) throw new Error(`no span of ${path}`);
      return first;
    },
    close: async () => {
      await Promise.all([web.close(), grpc.close(100), capture.close()]);
    },
  };
}

/** A Telemetry of the namespace `default` for the pods of a workload. */
export const traced = (workload: string, ...tracing: readonly object[]): KubeObject =>
  istioObject('Telemetry', { name: workload }, { selector: { matchLabels: { app: workload } }, tracing });

/** Every request is traced with this provider. */
export const every = (provider: string) => ({ providers: [{ name: provider }], randomSamplingPercentage: 100 });
