import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before } from 'node:test';
import { decodeMeshConfig } from '@istio-ts/api';
import { type Issued, TestAuthority } from '../testing/authority.ts';
import { type Answer, call } from '../testing/http-call.ts';
import { istioObject } from '../testing/objects.ts';
import {
  loopbackApp,
  LoopbackNet,
  type OfflineEnvoy,
  ORIGIN_PORT,
  startOfflineEnvoy,
} from '../testing/offline-envoy.ts';
import { type Origin, startOrigin } from '../testing/origin.ts';

export const net = new LoopbackNet();
export const PORT = 9100;
export const TCP_PORT = 9200;
export const host = (name: string): string => `${name}.default.svc.cluster.local`;
export const folder = mkdtempSync(join(tmpdir(), 'connection-fields-'));
export const authority = new TestAuthority(folder, 'public');
export const stranger = new TestAuthority(folder, 'stranger');
export const meshAuthority = new TestAuthority(folder, 'mesh');
export const server: Issued = authority.issue('server', ['DNS:secure.example', 'DNS:*.default.svc.cluster.local']);
export const client: Issued = authority.issue('client', ['DNS:client.example']);
export const workload = meshAuthority.issue('workload', ['URI:spiffe://cluster.local/ns/default/sa/client']);
export const meshServer = meshAuthority.issue('mesh-server', [
  'URI:spiffe://cluster.local/ns/default/sa/mutual',
  'URI:spiffe://cluster.local/ns/default/sa/automatic',
]);
export const roots = { caCertificates: authority.rootFile };

/** Last bytes of addresses: a plain server, one with TLS, one of the mesh, and one that accepts and says nothing. */
export const PLAIN = 1;
export const SECURE = 2;
export const MESH = 3;
export const SILENT = 4;

/** A service with a DestinationRule, and a VirtualService that says how often a request is tried. */
export interface Case {
  readonly policy?: object;
  readonly more?: object;
  readonly pod?: number;
  readonly port?: number;
  readonly protocol?: string;
  readonly retries?: object;
}

/** A TCP connection: what it got so far, and whether it is over. */
export interface Dialled {
  readonly got: string;
  readonly closed: boolean;
  readonly socket: Socket;
}

/** A client beside one real Envoy, whose configuration is made from DestinationRules. */
export interface Client {
  readonly get: (to: string, path?: string, address?: string) => Promise<Answer>;
  /** A statistic of the cluster of a service. */
  readonly stat: (to: string, name: string) => Promise<number>;
  /** Connects to a service and sends a text. */
  readonly dial: (to: string, text: string, from?: string) => Dialled;
  /** The server behind an address. */
  readonly origin: (last: number) => Origin;
  readonly envoy: () => OfflineEnvoy;
}

/** Starts Envoy and the servers before the tests of a file, and ends them after the tests. `cases` are by the names of their services. */
export function clientOf(
  cases: Readonly<Record<string, Case>>,
  more: readonly ReturnType<typeof istioObject>[] = [],
): Client {
  const objects = [
    ...Object.entries(cases).flatMap(([name, one], i) => [
      ...loopbackApp(
        net,
        name,
        { last: 30 + i, port: one.port ?? PORT, protocol: one.protocol ?? 'http' },
        name === 'sticky'
          ? [{ last: PLAIN }, { last: SECURE }, { last: MESH }]
          : [{ last: one.pod ?? PLAIN, mesh: one.pod === MESH }],
      ),
      ...(one.policy
        ? [istioObject('DestinationRule', { name }, { host: name, trafficPolicy: one.policy, ...one.more })]
        : []),
      ...(one.port === undefined
        ? [
            istioObject(
              'VirtualService',
              { name },
              {
                hosts: [name],
                http: [{ retries: one.retries ?? { attempts: 0 }, route: [{ destination: { host: name } }] }],
              },
            ),
          ]
        : []),
    ]),
    ...more,
  ];
  let envoy: OfflineEnvoy;
  let silent: Server;
  const origins: Origin[] = [];
  before(async () => {
    origins[PLAIN] = await startOrigin('plain', net.ip(PLAIN), ORIGIN_PORT);
    origins[SECURE] = await startOrigin('secure', net.ip(SECURE), ORIGIN_PORT, {
      cert: server.certificate,
      key: server.key,
      ca: authority.root,
      requestCert: true,
      rejectUnauthorized: false,
      ALPNProtocols: ['h2', 'http/1.1'],
    });
    origins[MESH] = await startOrigin('mesh', net.ip(MESH), ORIGIN_PORT, {
      cert: meshServer.certificate,
      key: meshServer.key,
      ca: meshAuthority.root,
      requestCert: true,
      rejectUnauthorized: false,
      ALPNProtocols: ['istio-http/1.1', 'http/1.1'],
    });
    silent = createServer(() => {});
    await new Promise<void>((resolve) => silent.listen(ORIGIN_PORT, net.ip(SILENT), resolve));
    envoy = await startOfflineEnvoy({
      net,
      objects,
      proxy: {
        name: 'client',
        namespace: 'default',
        labels: { app: 'client' },
        ipAddress: net.ip(9),
        identity: 'spiffe://cluster.local/ns/default/sa/client',
      },
      meshConfig: decodeMeshConfig({ h2UpgradePolicy: 'DO_NOT_UPGRADE' }).value,
      identity: { certificate: workload.certificate, key: workload.key, roots: meshAuthority.root },
    });
  });

  after(async () => {
    await envoy?.stop();
    await Promise.all(origins.map((one) => one?.close()));
    silent?.close();
    rmSync(folder, { recursive: true });
  });

  const stat = async (to: string, name: string): Promise<number> => {
    const text = await envoy.admin(`/stats?filter=${encodeURIComponent(name)}`);
    const line = text.split('\n').find((one) => one.includes(`|${host(to)}`) && one.includes(`.${name}: `));
    return Number(line?.split(': ')[1] ?? Number.NaN);
  };

  const dial = (to: string, text: string, from?: string): Dialled => {
    const index = Object.keys(cases).indexOf(to);
    const socket = connect({
      host: net.ip(30 + index),
      port: TCP_PORT,
      ...(from !== undefined && { localAddress: from }),
    });
    const state = { got: '', closed: false, socket };
    socket.on('error', () => socket.destroy());
    socket.on('data', (data: Buffer) => {
      state.got += data.toString();
    });
    socket.on('close', () => {
      state.closed = true;
    });
    socket.write(text);
    return state;
  };

  const get = (to: string, path = '/', address = net.everywhere): Promise<Answer> =>
    call(path, { address, port: PORT, host: to });
  return { get, stat, dial, origin: (last) => origins[last] as Origin, envoy: () => envoy };
}
