import { after, before } from 'node:test';
import { decodeMeshConfig } from '@istio-ts/api';
import { type Answer, type Call, call } from '../testing/http-call.ts';
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
export const PORT = 8000;
export const OTHER_PORT = 8001;
export const host = (name: string, namespace = 'default'): string => `${name}.${namespace}.svc.cluster.local`;
export const v1 = [{ destination: { host: 'shop', subset: 'v1' } }];
export const v2 = [{ destination: { host: 'shop', subset: 'v2' } }];
export const answers = (string: string) => ({ directResponse: { status: 200, body: { string } } });

/** A VirtualService; `age` in minutes, so that the older wins. */
export const virtualService = (name: string, spec: object, more: { namespace?: string; minute?: number } = {}) =>
  istioObject(
    'VirtualService',
    {
      name,
      ...(more.namespace !== undefined && { namespace: more.namespace }),
      createdAt: `2026-01-01T00:${String(more.minute ?? 1).padStart(2, '0')}:00Z`,
    },
    spec as Record<string, unknown>,
  );

/** Services for routes to lead to; `shop` has two subsets. */
const services = [
  ...loopbackApp(net, 'shop', { last: 10, port: PORT, protocol: 'http' }, [
    { last: 1, labels: { version: 'v1' } },
    { last: 2, labels: { version: 'v2' } },
  ]),
  ...['match', 'act', 'cors', 'root', 'late', 'hidden', 'other', 'retry', 'named'].flatMap((name, i) =>
    loopbackApp(net, name, { last: 20 + i, port: PORT, protocol: 'http' }, [{ last: 3 }]),
  ),
  ...loopbackApp(net, 'far', { last: 40, port: PORT, protocol: 'http', namespace: 'away' }, [{ last: 4 }]),
  ...loopbackApp(net, 'second', { last: 41, port: OTHER_PORT, protocol: 'http' }, [{ last: 3 }]),
  // Two addresses for one service, one of which fails.
  ...loopbackApp(net, 'pair', { last: 42, port: PORT, protocol: 'http' }, [{ last: 5 }, { last: 6 }]),
  istioObject(
    'DestinationRule',
    { name: 'shop' },
    {
      host: 'shop',
      subsets: [
        { name: 'v1', labels: { version: 'v1' } },
        { name: 'v2', labels: { version: 'v2' } },
      ],
    },
  ),
];

/** A client beside one real Envoy, whose configuration is made from VirtualServices. */
export interface Client {
  readonly get: (path: string, to: string, more?: Partial<Call>) => Promise<Answer>;
  /** The text of an answer. */
  readonly text: (path: string, to: string, more?: Partial<Call>) => Promise<string>;
  /** The servers behind the services, by name. */
  readonly origins: Readonly<Record<string, Origin>>;
  readonly envoy: () => OfflineEnvoy;
}

/** Starts Envoy and the servers before the tests of a file, and ends them after the tests. */
export function clientOf(virtualServices: readonly ReturnType<typeof istioObject>[]): Client {
  let envoy: OfflineEnvoy;
  const origins: Record<string, Origin> = {};
  before(async () => {
    for (const [name, last] of Object.entries({ v1: 1, v2: 2, any: 3, far: 4, good: 5, bad: 6 }))
      origins[name] = await startOrigin(name, net.ip(last), ORIGIN_PORT);
    envoy = await startOfflineEnvoy({
      net,
      objects: [...services, ...virtualServices],
      proxy: { name: 'client', namespace: 'default', labels: { app: 'client' }, ipAddress: net.ip(9) },
      meshConfig: decodeMeshConfig({}).value,
    });
  });
  after(async () => {
    await envoy?.stop();
    await Promise.all(Object.values(origins).map((origin) => origin.close()));
  });
  const get = (path: string, to: string, more: Partial<Call> = {}): Promise<Answer> =>
    call(path, { address: net.everywhere, port: PORT, host: to, ...more });
  return { get, text: async (path, to, more) => (await get(path, to, more)).text, origins, envoy: () => envoy };
}
