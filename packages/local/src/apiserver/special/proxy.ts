import { Agent, request as httpRequest } from 'node:http';
import { connect } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Call, SpecialHandler } from '../http/handler.ts';
import { asArray, asObject, asObjects, asString } from '../json.ts';
import { ApiError, badRequest } from '../status.ts';
import type { SpecialOptions } from './special.ts';

/** `[scheme:]name[:port]` */
function splitName(text: string): { readonly name: string; readonly port: string } {
  const parts = text.split(':');
  if (parts.length === 3) return { name: parts[1] ?? '', port: parts[2] ?? '' };
  return { name: parts[0] ?? '', port: parts[1] ?? '' };
}

const HOP_HEADERS = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'authorization',
  'host',
]);

/**
 * The path below which the API server shows the program, without a slash at the end: `/api/v1/namespaces/n/services/s:80/proxy`. A redirect to a path of
 * the program has to lead there and not to the API server's own paths.
 */
const shownAt = (path: string): string => /^.*?\/proxy(?=\/|$)/.exec(path)?.[0] ?? path;

function locationOf(location: string, path: string): string {
  return /^\/(?!\/)/.test(location) ? shownAt(path) + location : location;
}

function forward(call: Call, dial: () => Promise<Duplex>): Promise<void> {
  const { request, response, url, info } = call;
  return new Promise((resolve, reject) => {
    dial().then(
      (socket) => {
        const agent = new Agent();
        agent.createConnection = () => socket;
        const headers = Object.fromEntries(Object.entries(request.headers).filter(([name]) => !HOP_HEADERS.has(name)));
        const outgoing = httpRequest({
          agent,
          method: request.method,
          path: `/${info.rest}${url.search}`,
          headers: { ...headers, host: 'localhost', 'x-forwarded-uri': url.pathname },
        });
        outgoing.on('error', (error) =>
          reject(new ApiError(503, 'ServiceUnavailable', `error trying to reach service: ${error.message}`)),
        );
        outgoing.on('response', (incoming) => {
          const answer = Object.fromEntries(
            Object.entries(incoming.headers).filter(([name]) => !HOP_HEADERS.has(name)),
          );
          if (typeof answer.location === 'string') answer.location = locationOf(answer.location, url.pathname);
          response.writeHead(incoming.statusCode ?? 502, answer);
          incoming.pipe(response);
          incoming.on('end', resolve);
          incoming.on('error', () => response.destroy());
        });
        response.once('close', () => {
          outgoing.destroy();
          resolve();
        });
        request.pipe(outgoing);
      },
      (error: unknown) =>
        reject(
          new ApiError(
            503,
            'ServiceUnavailable',
            `error trying to reach service: ${error instanceof Error ? error.message : String(error)}`,
          ),
        ),
    );
  });
}

function plainConnect(host: string, port: number): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port });
    socket.once('connect', () => resolve(socket));
    socket.once('error', reject);
  });
}

/** HTTP to a pod or a Service through the API server (`kubectl get --raw`, `kubectl proxy`). */
export function proxyHandlers({
  operations,
  runtime,
  dialService,
  dialPod,
}: SpecialOptions): [string, SpecialHandler][] {
  const pod: SpecialHandler = async (call) => {
    const { name, port } = splitName(call.target.name);
    const object = operations.stored({ ...call.target, name, subresource: '' });
    const containerPorts = asObjects(asObject(object.spec).containers).flatMap((item) => asObjects(item.ports));
    const number =
      port === ''
        ? containerPorts[0]?.containerPort
        : (containerPorts.find((item) => item.name === port)?.containerPort ?? Number(port));
    if (typeof number !== 'number' || !Number.isInteger(number))
      throw badRequest(`pod ${name} has no port ${JSON.stringify(port)}`);
    const address = asString(asObject(object.status).podIP);
    await forward(call, () =>
      dialPod !== undefined && address !== ''
        ? dialPod(address, number)
        : runtime.dial(call.target.namespace, name, number),
    );
  };
  const service: SpecialHandler = async (call) => {
    const { name, port } = splitName(call.target.name);
    const spec = asObject(operations.stored({ ...call.target, name, subresource: '' }).spec);
    const ports = asObjects(spec.ports);
    const number = port === '' ? ports[0]?.port : (ports.find((item) => item.name === port)?.port ?? Number(port));
    if (typeof number !== 'number' || !Number.isInteger(number))
      throw badRequest(`service ${name} has no port ${JSON.stringify(port)}`);
    const address = asString(asArray(spec.clusterIPs)[0]) || asString(spec.clusterIP);
    if (address === '' || address === 'None')
      throw new ApiError(503, 'ServiceUnavailable', `service ${name} has no ClusterIP`);
    await forward(call, () => (dialService ?? plainConnect)(address, number));
  };
  return [
    ['/pods/proxy', pod],
    ['/services/proxy', service],
  ];
}
