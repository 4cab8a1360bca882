import { createServer } from 'node:http';
import { connect, createServer as createTcpServer } from 'node:net';
import { parseArgs } from 'node:util';
import { decodeMeshConfig } from '@istio-ts/api';
import { istioObject, podObject } from '@istio-ts/xds/testing/objects';
import {
  LoopbackNet,
  loopbackApp,
  type OfflineEnvoy,
  ORIGIN_PORT,
  startOfflineEnvoy,
} from '@istio-ts/xds/testing/offline-envoy';
import { cpuSeconds } from '../xds/process-usage.ts';

/** What telemetry costs a sidecar: the same requests through a real Envoy with one thread, with and without each kind of telemetry, in turns. */

const PORT = 9810;
const SPANS_PORT = 9811;
const MESH = {
  enableTracing: true,
  extensionProviders: [
    { name: 'spans', zipkin: { service: 'zipkin.default.svc.cluster.local', port: SPANS_PORT } },
    { name: 'file', envoyFileAccessLog: { path: '/dev/null' } },
  ],
};
const metrics = { metrics: [{ providers: [{ name: 'prometheus' }] }] };
const accessLogging = { accessLogging: [{ providers: [{ name: 'file' }] }] };
const tracing = (percent: number) => ({
  tracing: [{ providers: [{ name: 'spans' }], randomSamplingPercentage: percent }],
});
const labels = {
  metrics: [
    {
      providers: [{ name: 'prometheus' }],
      overrides: [
        {
          match: { metric: 'REQUEST_COUNT' },
          tagOverrides: {
            host: { value: 'request.host' },
            operation: { value: "request.url_path.startsWith('/a') ? 'a' : 'other'" },
          },
        },
      ],
    },
  ],
};

const VARIANTS: readonly { readonly name: string; readonly spec: object }[] = [
  { name: 'nothing', spec: {} },
  { name: 'metrics', spec: metrics },
  { name: 'metrics, a label by CEL', spec: labels },
  { name: 'access log', spec: accessLogging },
  { name: 'traces, 1 %', spec: tracing(1) },
  { name: 'traces, 100 %', spec: tracing(100) },
  { name: 'metrics, access log, traces 1 %', spec: { ...metrics, ...accessLogging, ...tracing(1) } },
];

const flags = parseArgs({
  args: process.argv.slice(3),
  options: {
    requests: { type: 'string', default: '20000' },
    rounds: { type: 'string', default: '3' },
    connections: { type: 'string', default: '16' },
  },
}).values;
const [requests, rounds, connections] = [flags.requests, flags.rounds, flags.connections].map(Number);
if (!requests || !rounds || !connections)
  throw new Error('--requests, --rounds and --connections take whole numbers above 0');

/** Answers every request head with the same few bytes, without looking at it: the server must not be what is measured. */
const ANSWER = Buffer.from('HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 5\r\n\r\nhello');
const END = Buffer.from('\r\n\r\n');

function count(data: Buffer): number {
  let found = 0;
  for (let at = data.indexOf(END); at >= 0; at = data.indexOf(END, at + END.length)) found++;
  return found;
}

/** Requests one after the other on some connections; resolves when all are answered. */
async function load(address: string, total: number, width: number): Promise<void> {
  const request = Buffer.from(
    `GET /a/page HTTP/1.1\r\nhost: web\r\nuser-agent: bench\r\nx-request-id: 7f8e2f0e-0000-4000-8000-000000000000\r\n\r\n`,
  );
  let left = total;
  const one = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const socket = connect(PORT, address);
      socket.setNoDelay(true);
      const next = (): void => {
        if (left-- > 0) socket.write(request);
        else socket.end();
      };
      socket.on('connect', next);
      let text = '';
      socket.on('data', (data: Buffer) => {
        text += data.toString('latin1');
        if (!text.endsWith('hello')) return;
        if (!text.startsWith('HTTP/1.1 200')) reject(new Error(text.slice(0, 200)));
        text = '';
        next();
      });
      socket.on('error', reject);
      socket.on('close', () => resolve());
    });
  await Promise.all(Array.from({ length: width }, one));
}

const net = new LoopbackNet();
const web = createTcpServer((socket) => {
  socket.setNoDelay(true);
  socket.on('error', () => socket.destroy());
  socket.on('data', (data: Buffer) => {
    for (let i = count(data); i > 0; i--) socket.write(ANSWER);
  });
});
let spans = 0;
const zipkin = createServer((request, response) => {
  request.on('data', (data: Buffer) => {
    spans += data.length;
  });
  request.on('end', () => response.writeHead(202).end());
});
await new Promise<void>((resolve) => web.listen(ORIGIN_PORT, net.ip(2), resolve));
await new Promise<void>((resolve) => zipkin.listen(ORIGIN_PORT, net.ip(3), resolve));

const started: { readonly name: string; readonly envoy: OfflineEnvoy; readonly address: string; cpu: number[] }[] = [];
try {
  for (const [i, { name, spec }] of VARIANTS.entries()) {
    // All variants have the same objects but for their Telemetry; their listeners are on addresses of their own.
    const place = new LoopbackNet();
    const envoy = await startOfflineEnvoy({
      net: place,
      objects: [
        podObject({ name: 'client', labels: { app: 'client' }, ip: net.ip(9) }),
        ...loopbackApp(net, 'web', { last: 31, port: PORT, protocol: 'http' }, [{ last: 2 }]),
        ...loopbackApp(net, 'zipkin', { last: 60 + i, port: SPANS_PORT, protocol: 'http' }, [{ last: 3 }]),
        istioObject('Telemetry', { name: 'bench' }, { ...spec }),
      ],
      proxy: { name: 'client', namespace: 'default' },
      meshConfig: decodeMeshConfig(MESH).value,
    });
    started.push({ name, envoy, address: place.everywhere, cpu: [] });
    await load(place.everywhere, 500, connections);
  }
  for (let round = 0; round < rounds; round++)
    for (const variant of started) {
      const before = cpuSeconds(variant.envoy.pid);
      await load(variant.address, requests, connections);
      variant.cpu.push(cpuSeconds(variant.envoy.pid) - before);
    }
  const middle = (list: readonly number[]): number => [...list].sort((a, b) => a - b)[list.length >> 1] ?? 0;
  const [bare] = started;
  console.log(
    `${requests} requests per round, ${rounds} rounds in turns, ${connections} connections; middle of the rounds`,
  );
  console.log('telemetry                         requests per CPU second   microseconds per request   against nothing');
  for (const { name, cpu } of started) {
    const seconds = middle(cpu);
    const more = (seconds / middle(bare?.cpu ?? []) - 1) * 100;
    console.log(
      `${name.padEnd(34)}${(requests / seconds).toFixed(0).padStart(23)}${((seconds / requests) * 1e6).toFixed(1).padStart(27)}${`${more >= 0 ? '+' : ''}${more.toFixed(0)} %`.padStart(18)}`,
    );
  }
  console.log(`${(spans / 1024).toFixed(0)} KiB of spans arrived`);
} finally {
  for (const { envoy } of started) await envoy.stop();
  web.close();
  zipkin.close();
  zipkin.closeAllConnections();
}
