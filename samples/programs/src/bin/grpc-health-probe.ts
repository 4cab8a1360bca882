import { connect } from 'node:http2';

/** Asks `-addr=HOST:PORT` for its gRPC health (`-service=NAME` of one service) and ends with 0 when it serves: what exec probes of many manifests run. */
function flag(name: string): string | undefined {
  const index = process.argv.findIndex((word) => word.replace(/^--?/, '').split('=')[0] === name);
  const word = process.argv[index];
  return index < 0 ? undefined : word?.includes('=') ? word.slice(word.indexOf('=') + 1) : process.argv[index + 1];
}
const fail = (code: number, message: string): never => {
  console.error(message);
  process.exit(code);
};

const address = flag('addr') ?? fail(1, 'error: -addr=HOST:PORT is needed');
const [host, port] = [
  address.slice(0, address.lastIndexOf(':')) || '127.0.0.1',
  address.slice(address.lastIndexOf(':') + 1),
];
const service = Buffer.from(flag('service') ?? '');
const message = service.length > 0 ? Buffer.concat([Buffer.from([10, service.length]), service]) : Buffer.alloc(0);
const frame = Buffer.concat([Buffer.from([0]), Buffer.from(Uint32Array.of(message.length).buffer).reverse(), message]);

const timer = setTimeout(() => fail(2, `timeout: no answer of ${address} within 1s`), 1000);
const session = connect(`http://${host}:${port}`);
session.on('error', (error) => fail(2, `error: failed to connect service at "${address}": ${error.message}`));
const stream = session.request({
  ':method': 'POST',
  ':path': '/grpc.health.v1.Health/Check',
  'content-type': 'application/grpc',
  te: 'trailers',
});
let answer = Buffer.alloc(0);
let grpcStatus: string | undefined;
stream.on('response', (headers) => {
  grpcStatus = headers['grpc-status'] as string | undefined;
});
stream.on('trailers', (trailers) => {
  grpcStatus = (trailers['grpc-status'] as string | undefined) ?? grpcStatus;
});
stream.on('data', (chunk: Buffer) => {
  answer = Buffer.concat([answer, chunk]);
});
stream.on('end', () => {
  clearTimeout(timer);
  session.close();
  if (grpcStatus !== undefined && grpcStatus !== '0') fail(3, `error: health rpc failed with status ${grpcStatus}`);
  // After the five bytes of the frame: field 1 (status) as a varint, 1 means SERVING.
  if (answer[5] === 8 && answer[6] === 1) console.log('status: SERVING');
  else fail(4, 'service unhealthy');
});
stream.end(frame);
