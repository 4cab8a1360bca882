// A thread that asks a CA for certificates, so that the CPU of the server's own thread can be told from that of its clients.
import { parentPort, workerData } from 'node:worker_threads';
import { encode } from '@istio-ts/envoy';
import { openGrpcChannel } from '@istio-ts/envoy/grpc/client';

interface Work {
  readonly address: string;
  readonly root: string;
  readonly tokens: readonly string[];
  readonly csr: string;
  readonly count: number;
  readonly atOnce: number;
}

const { address, root, tokens, csr, count, atOnce } = workerData as Work;
const [host = '', port = ''] = address.split(':');
const channel = openGrpcChannel(
  {
    kind: 'tls',
    host,
    port: Number(port),
    serverName: 'istiod.istio-system.svc',
    tls: { ca: root, minVersion: 'TLSv1.2' },
  },
  { connectTimeoutMs: 10_000, maxReceiveBytes: 1 << 20 },
);
const request = Buffer.from(encode('istio.v1.auth.IstioCertificateRequest', { csr, validityDuration: '86400' }));
let sent = 0;
const ask = async (): Promise<void> => {
  while (sent < count) {
    const token = tokens[sent++ % tokens.length] ?? '';
    await channel.unary('/istio.v1.auth.IstioCertificateService/CreateCertificate', request, {
      metadata: { authorization: `Bearer ${token}` },
      timeoutMs: 60_000,
    });
  }
};
await Promise.all(Array.from({ length: atOnce }, ask));
channel.close();
parentPort?.postMessage('done');
