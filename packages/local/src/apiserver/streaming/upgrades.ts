import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { createWebSocketStream, type WebSocket, WebSocketServer } from 'ws';
import type { NodeRuntime } from '../../node-runtime.ts';
import { type Authorizer, refusal } from '../auth/rbac.ts';
import type { User } from '../auth/user.ts';
import { verbOf } from '../http/handler.ts';
import { parsePath, type RequestInfo, urlOf } from '../http/request-info.ts';
import { toApiError } from '../http/respond.ts';
import type { ApiObject } from '../object.ts';
import type { Operations } from '../operations/operations.ts';
import { containerOf } from '../special/pods.ts';
import { ApiError, badRequest, forbidden, pathNotFound, statusObject } from '../status.ts';
import { type ExecChannels, runSession } from './exec-session.ts';
import { forwardOverSpdy, forwardOverWebSocket } from './port-forward.ts';
import { spdyChannels } from './spdy-channels.ts';
import { type WantedStreams, webSocketChannels } from './web-socket-channels.ts';

export interface UpgradeOptions {
  readonly operations: Operations;
  readonly authorizer: Authorizer;
  readonly runtime: NodeRuntime;
  readonly log: (line: string) => void;
}

const EXEC_PROTOCOLS = [
  'v5.channel.k8s.io',
  'v4.channel.k8s.io',
  'v3.channel.k8s.io',
  'v2.channel.k8s.io',
  'channel.k8s.io',
  'v4.base64.channel.k8s.io',
  'base64.channel.k8s.io',
];
const SPDY_EXEC_PROTOCOLS = ['v4.channel.k8s.io', 'v3.channel.k8s.io', 'v2.channel.k8s.io', 'channel.k8s.io'];
const TUNNEL = 'SPDY/3.1+portforward.k8s.io';
const FORWARD_PROTOCOLS = [
  TUNNEL,
  'v4.channel.k8s.io',
  'v4.base64.channel.k8s.io',
  'portforward.k8s.io',
  'channel.k8s.io',
  'base64.channel.k8s.io',
];
const MAX_MESSAGE = 8 * 1024 * 1024;

/** Requests that turn the connection into something else: exec, attach and port-forward, over WebSocket or SPDY/3.1. */
export class Upgrades {
  readonly #options: UpgradeOptions;

  constructor(options: UpgradeOptions) {
    this.#options = options;
  }

  async handle(request: IncomingMessage, socket: Duplex, head: Buffer, identify: () => User): Promise<void> {
    try {
      const url = urlOf(request.url);
      const info = parsePath(url.pathname);
      if (info === undefined || info.group !== '' || info.resource !== 'pods') throw pathNotFound();
      this.#authorize(identify(), request, info, url.searchParams);
      const served = this.#options.operations.registry.find('', 'v1', 'pods');
      if (served === undefined) throw pathNotFound();
      const pod = this.#options.operations.stored({
        ...served,
        namespace: info.namespace,
        name: info.name,
        subresource: '',
      });
      const protocol = String(request.headers.upgrade ?? '').toLowerCase();
      if (protocol !== 'websocket' && protocol !== 'spdy/3.1')
        throw badRequest(`cannot upgrade to ${JSON.stringify(protocol)}`);
      const webSocket = protocol === 'websocket';
      switch (info.subresource) {
        case 'exec':
        case 'attach':
          await this.#exec(request, socket, head, url.searchParams, info, pod, webSocket);
          return;
        case 'portforward':
          this.#portForward(request, socket, head, url.searchParams, info, webSocket);
          return;
        default:
          throw pathNotFound();
      }
    } catch (error) {
      if (!(error instanceof ApiError))
        this.#options.log(`upgrade: ${error instanceof Error ? error.message : String(error)}`);
      refuse(socket, toApiError(error));
    }
  }

  #authorize(user: User, request: IncomingMessage, info: RequestInfo, query: URLSearchParams): void {
    const verb = verbOf(request.method ?? 'GET', info, query);
    const attributes = {
      verb,
      group: '',
      resource: `pods/${info.subresource}`,
      namespace: info.namespace,
      name: info.name,
      path: '',
    };
    if (this.#options.authorizer.check(user, attributes).allowed) return;
    if (user.name === 'system:anonymous') throw new ApiError(401, 'Unauthorized', 'Unauthorized');
    throw forbidden({ group: '', resource: 'pods' }, info.name, refusal(user, attributes));
  }

  async #exec(
    request: IncomingMessage,
    socket: Duplex,
    head: Buffer,
    query: URLSearchParams,
    info: RequestInfo,
    pod: ApiObject,
    webSocket: boolean,
  ): Promise<void> {
    const { runtime, log } = this.#options;
    const flag = (name: string) => query.get(name) === 'true' || query.get(name) === '1';
    const wanted: WantedStreams = {
      stdin: flag('stdin'),
      stdout: flag('stdout'),
      stderr: flag('stderr'),
      tty: flag('tty'),
    };
    const container = containerOf(pod, query.get('container'), info.name);
    const command = query.getAll('command');
    if (info.subresource === 'exec' && command.length === 0)
      throw badRequest('you must specify at least one command for the container');
    let channels: ExecChannels;
    if (webSocket) {
      const accepted = await acceptWebSocket(request, socket, head, EXEC_PROTOCOLS);
      channels = webSocketChannels(accepted, accepted.protocol, wanted);
    } else {
      const protocol = negotiateSpdy(request, SPDY_EXEC_PROTOCOLS);
      acceptSpdy(socket, protocol);
      try {
        channels = await spdyChannels(socket, head, wanted, protocol);
      } catch {
        // The client went away, or speaks another protocol: there is no channel to tell it through.
        socket.destroy();
        return;
      }
    }
    const common = { container, tty: wanted.tty, stdin: wanted.stdin };
    const start =
      info.subresource === 'exec'
        ? runtime.exec(info.namespace, info.name, { ...common, command })
        : runtime.attach(info.namespace, info.name, common);
    await runSession(start, channels, log);
  }

  #portForward(
    request: IncomingMessage,
    socket: Duplex,
    head: Buffer,
    query: URLSearchParams,
    info: RequestInfo,
    webSocket: boolean,
  ): void {
    const dial = (port: number) => this.#options.runtime.dial(info.namespace, info.name, port);
    if (!webSocket) {
      const protocol = negotiateSpdy(request, ['portforward.k8s.io']);
      acceptSpdy(socket, protocol);
      forwardOverSpdy(socket, head, dial);
      return;
    }
    acceptWebSocket(request, socket, head, FORWARD_PROTOCOLS).then(
      (accepted) => {
        if (accepted.protocol === TUNNEL) {
          forwardOverSpdy(createWebSocketStream(accepted), Buffer.alloc(0), dial);
          return;
        }
        const ports = query
          .getAll('ports')
          .flatMap((text) => text.split(','))
          .map(Number);
        if (
          ports.length === 0 ||
          ports.length > 64 ||
          ports.some((port) => !Number.isInteger(port) || port < 1 || port > 65_535)
        ) {
          accepted.close(1002, 'the query needs ports');
          return;
        }
        forwardOverWebSocket(accepted, ports, accepted.protocol.includes('base64'), dial);
      },
      () => socket.destroy(),
    );
  }
}

function acceptWebSocket(
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  protocols: readonly string[],
): Promise<WebSocket> {
  const offered = String(request.headers['sec-websocket-protocol'] ?? '')
    .split(',')
    .map((protocol) => protocol.trim())
    .filter((protocol) => protocol !== '' && !protocol.startsWith('base64url.bearer.'));
  const chosen = offered.find((protocol) => protocols.includes(protocol));
  if (offered.length > 0 && chosen === undefined)
    throw badRequest(`unable to upgrade: unsupported protocols ${JSON.stringify(offered)}`);
  return new Promise((resolve) => {
    const server = new WebSocketServer({
      noServer: true,
      maxPayload: MAX_MESSAGE,
      perMessageDeflate: false,
      handleProtocols: () => chosen ?? false,
    });
    server.handleUpgrade(request, socket, head, resolve);
  });
}

/** The subprotocol of a SPDY request. Throws 403 in the form in which clients expect it. */
function negotiateSpdy(request: IncomingMessage, supported: readonly string[]): string {
  const header = request.headers['x-stream-protocol-version'];
  const offered = (Array.isArray(header) ? header.join(',') : (header ?? ''))
    .split(',')
    .map((protocol) => protocol.trim())
    .filter((protocol) => protocol !== '');
  if (offered.length === 0) return supported.at(-1) ?? '';
  const chosen = supported.find((protocol) => offered.includes(protocol));
  if (chosen === undefined)
    throw new ApiError(
      403,
      'Forbidden',
      `unable to upgrade: unable to negotiate protocol: client supports ${JSON.stringify(offered)}, server accepts ${JSON.stringify(supported)}`,
    );
  return chosen;
}

function acceptSpdy(socket: Duplex, protocol: string): void {
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: ${protocol}\r\n\r\n`,
  );
}

function refuse(socket: Duplex, error: ApiError): void {
  if (socket.destroyed) return;
  const body = JSON.stringify(statusObject(error));
  socket.end(
    `HTTP/1.1 ${error.code} ${error.reason}\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
  );
}
