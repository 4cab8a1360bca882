import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { decodeMeshConfig } from '@istio-ts/api';
import type { KubeObject } from '@istio-ts/kube/object';
import { eventually } from '../testing/envoy.ts';
import { type Answer, call } from '../testing/http-call.ts';
import { istioObject, podObject, serviceObject } from '../testing/objects.ts';
import {
  LoopbackNet,
  loopbackApp,
  type OfflineEnvoy,
  type OfflineEnvoySetup,
  ORIGIN_PORT,
  startOfflineEnvoy,
} from '../testing/offline-envoy.ts';
import { startOrigin } from '../testing/origin.ts';

/** Ports of the services `web` (HTTP) and `bytes` (TCP); services of a test have those after them. */
export const WEB_PORT = 9710;
export const BYTES_PORT = 9711;

export interface AccessLogLab {
  readonly net: LoopbackNet;
  /** Where the sidecar's own application is asked. */
  readonly own: { readonly address: string; readonly port: number };
  /** Path of a log file. */
  file(name: string): string;
  /** Lines of a log file, once there are that many. */
  lines(name: string, count: number): Promise<readonly string[]>;
  /** A real Envoy with what istiod generates for the sidecar of `client`. */
  withSidecar(
    setup: {
      readonly mesh: object;
      readonly objects?: readonly KubeObject[];
      readonly more?: Partial<OfflineEnvoySetup>;
    },
    work: (envoy: OfflineEnvoy) => Promise<void>,
  ): Promise<void>;
  /** A request of the application to the service `web`. */
  toWeb(path: string, headers?: Readonly<Record<string, string>>): Promise<Answer>;
  /** A request that arrives for the application. */
  arriving(path: string): Promise<Answer>;
  /** Sends bytes to the service `bytes`, and gives the first that come back. */
  exchange(text: string): Promise<string>;
  close(): Promise<void>;
}

export const telemetry = (accessLogging: readonly object[], name = 'logs', more: object = {}): KubeObject =>
  istioObject('Telemetry', { name }, { ...more, accessLogging });

/** The providers of an item. */
export const named = (...names: readonly string[]) => ({ providers: names.map((name) => ({ name })) });

export async function startAccessLogLab(): Promise<AccessLogLab> {
  const net = new LoopbackNet();
  const folder = mkdtempSync(join(tmpdir(), 'access-logs-'));
  const app = createServer((_request, response) => response.end('the application'));
  const port = await new Promise<number>((resolve) =>
    app.listen(0, '127.0.0.1', () => resolve((app.address() as AddressInfo).port)),
  );
  const web = await startOrigin('web', net.ip(2), ORIGIN_PORT);
  const bytes = await startOrigin('bytes', net.ip(3), ORIGIN_PORT);
  const own = { address: net.ip(9), port };
  const objects = [
    podObject({ name: 'client', labels: { app: 'client' }, ip: own.address }),
    serviceObject({ name: 'client' }, [{ name: 'http', port: 80, targetPort: port }], {
      clusterIP: net.ip(30),
      clusterIPs: [net.ip(30)],
    }),
    ...loopbackApp(net, 'web', { last: 31, port: WEB_PORT, protocol: 'http' }, [{ last: 2 }]),
    ...loopbackApp(net, 'bytes', { last: 32, port: BYTES_PORT, protocol: 'tcp' }, [{ last: 3 }]),
  ];
  const file = (name: string): string => join(folder, name);
  return {
    net,
    own,
    file,
    lines: (name, count) =>
      eventually(() => {
        const found = existsSync(file(name)) ? readFileSync(file(name), 'utf8').split('\n').filter(Boolean) : [];
        return found.length >= count ? found : undefined;
      }, `${count} lines of ${name}`),
    withSidecar: async (setup, work) => {
      const envoy = await startOfflineEnvoy({
        net,
        objects: [...objects, ...(setup.objects ?? [])],
        proxy: { name: 'client', namespace: 'default' },
        meshConfig: decodeMeshConfig({ inboundTrafficPolicy: { mode: 'LOCALHOST' }, ...setup.mesh }).value,
        captured: { inbound: own },
        ...setup.more,
      });
      try {
        await work(envoy);
      } finally {
        await envoy.stop();
      }
    },
    toWeb: (path, headers = {}) => call(path, { address: net.everywhere, port: WEB_PORT, host: 'web', headers }),
    arriving: (path) => call(path, { ...own, host: 'client' }),
    exchange: (text) =>
      new Promise((resolve, reject) => {
        const socket = connect(BYTES_PORT, net.ip(32), () => socket.write(text));
        socket.on('error', reject);
        socket.once('data', (data: Buffer) => {
          socket.end();
          resolve(data.toString());
        });
      }),
    close: async () => {
      app.closeAllConnections();
      app.close();
      await web.close();
      await bytes.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
