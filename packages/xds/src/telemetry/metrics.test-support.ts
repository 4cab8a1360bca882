import { connect as connectHttp2, createServer as createHttp2Server, type Http2Server } from 'node:http2';
import { eventually } from '../testing/envoy.ts';
import { type Sample, samples, scrape } from '../testing/metrics.ts';
import { istioObject } from '../testing/objects.ts';
import { loopbackApp, type OfflineEnvoy, ORIGIN_PORT } from '../testing/offline-envoy.ts';
import { type AccessLogLab, startAccessLogLab, WEB_PORT } from './access-log.test-support.ts';

const GRPC_PORT = WEB_PORT + 5;
export const GONE_PORT = WEB_PORT + 6;
export const MESH = { defaultProviders: { metrics: ['prometheus'] } };

/** A gRPC server: answers every message of a stream with two, and then with the status in `x-status`. */
export function grpcServer(): Http2Server {
  const server = createHttp2Server();
  server.on('stream', (stream, headers) => {
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': String(headers['x-status'] ?? '0') }));
    stream.on('data', (data: Buffer) => {
      stream.write(data);
      stream.write(data);
    });
    stream.on('end', () => stream.end());
  });
  return server;
}

/** A lab with the services `messages` (gRPC) and `gone`, behind which nobody is. */
export interface MetricsLab extends AccessLogLab {
  services(): readonly ReturnType<typeof loopbackApp>[number][];
  /** Sends messages of gRPC in one stream and gives the number that came back. */
  messages(count: number, headers?: Readonly<Record<string, string>>): Promise<number>;
}

export async function startMetricsLab(): Promise<MetricsLab> {
  const lab = await startAccessLogLab();
  const grpc = grpcServer();
  await new Promise<void>((resolve) => grpc.listen(ORIGIN_PORT, lab.net.ip(4), resolve));
  return {
    ...lab,
    services: () => [
      ...loopbackApp(lab.net, 'messages', { last: 33, port: GRPC_PORT, protocol: 'grpc' }, [{ last: 4 }]),
      ...loopbackApp(lab.net, 'gone', { last: 34, port: GONE_PORT, protocol: 'http' }, [{ last: 5 }]),
    ],
    messages: (count, headers = {}) =>
      messagesTo({ address: lab.net.everywhere, port: GRPC_PORT }, 'messages', count, headers),
    close: async () => {
      grpc.close();
      await lab.close();
    },
  };
}

export const telemetry = (
  name: string,
  namespace: string,
  metrics: readonly object[],
  more: object = {},
  createdAt?: string,
) => istioObject('Telemetry', { name, namespace, ...(createdAt && { createdAt }) }, { ...more, metrics });

/** The first sample with this name and these labels, once there is one. */
export const sample = (envoy: OfflineEnvoy, name: string, wanted: Readonly<Record<string, string>>): Promise<Sample> =>
  eventually(
    async () =>
      samples(await scrape(envoy)).find(
        (one) => one.name === name && Object.entries(wanted).every(([label, value]) => one.labels[label] === value),
      ),
    `${name} with ${JSON.stringify(wanted)}`,
  );

export const names = async (envoy: OfflineEnvoy, reporter: string): Promise<readonly string[]> => [
  ...new Set(
    samples(await scrape(envoy))
      .filter(({ name, labels }) => name.startsWith('istio_') && labels.reporter === reporter)
      .map(({ name }) => name.replace(/_(bucket|sum|count)$/, '')),
  ),
];

/** Sends messages of gRPC in one stream and gives the number that came back. */
export function messagesTo(
  { address, port }: { readonly address: string; readonly port: number },
  authority: string,
  count: number,
  headers: Readonly<Record<string, string>> = {},
): Promise<number> {
  const session = connectHttp2(`http://${address}:${port}`);
  const stream = session.request({
    ':method': 'POST',
    ':path': '/pkg.Service/Method',
    ':authority': authority,
    'content-type': 'application/grpc',
    te: 'trailers',
    ...headers,
  });
  const message = Buffer.from([0, 0, 0, 0, 2, 7, 7]);
  for (let i = 0; i < count; i++) stream.write(message);
  stream.end();
  let bytes = 0;
  return new Promise((resolve, reject) => {
    stream.on('data', (data: Buffer) => {
      bytes += data.length;
    });
    stream.on('error', reject);
    stream.on('close', () => {
      session.close();
      resolve(bytes / message.length);
    });
  });
}

export const CLIENT = {
  source_workload: 'client',
  source_workload_namespace: 'default',
  source_app: 'client',
  source_version: 'unknown',
  source_canonical_service: 'client',
  source_canonical_revision: 'latest',
  source_cluster: 'Kubernetes',
};
export const SERVER = (name: string) => ({
  destination_workload: `${name}-0`,
  destination_workload_namespace: 'default',
  destination_app: name,
  destination_version: 'unknown',
  destination_canonical_service: name,
  destination_canonical_revision: 'latest',
  destination_cluster: 'Kubernetes',
  destination_service: `${name}.default.svc.cluster.local`,
  destination_service_name: name,
  destination_service_namespace: 'default',
});
export const NOBODY = (side: string) => ({
  [`${side}_workload`]: 'unknown',
  [`${side}_workload_namespace`]: 'unknown',
  [`${side}_app`]: 'unknown',
  [`${side}_version`]: 'unknown',
  [`${side}_canonical_service`]: 'unknown',
  [`${side}_canonical_revision`]: 'latest',
  [`${side}_cluster`]: 'unknown',
});
export const PLAIN = { source_principal: 'unknown', destination_principal: 'unknown' };
export const SOURCE = { reporter: 'source', connection_security_policy: 'unknown', ...PLAIN };
