import { after, before } from 'node:test';
import { decodeMeshConfig } from '@istio-ts/api';
import { type Answer, type Call, call } from '../testing/http-call.ts';
import { istioObject, nodeObject } from '../testing/objects.ts';
import {
  loopbackApp,
  LoopbackNet,
  type OfflineEnvoy,
  ORIGIN_PORT,
  startOfflineEnvoy,
} from '../testing/offline-envoy.ts';
import { type Origin, startOrigin } from '../testing/origin.ts';

export const net = new LoopbackNet();
export const PORT = 9000;
export const host = (name: string): string => `${name}.default.svc.cluster.local`;
/** The cluster of a service as a whole. */
export const clusterName = (name: string): string => `outbound|${PORT}||${host(name)}`;

/** Names of the origins and the last byte of their addresses. Those on one node share its place. */
export const places = { a1: 1, a2: 2, b1: 3, c1: 4 } as const;
const nodes = { a1: 'node-a1', a2: 'node-a2', b1: 'node-b', c1: 'node-c' } as const;
export type Place = keyof typeof places;

let last = 20;
/** A service with a pod at each place. `node` is where all of them run, instead of each where its place says. */
export const app = (name: string, pods: readonly Place[] = ['a1', 'a2', 'b1', 'c1'], node?: string) => {
  last++;
  return loopbackApp(
    net,
    name,
    { last, port: PORT, protocol: 'http' },
    pods.map((place) => ({ last: places[place], labels: { place }, node: node ?? nodes[place] })),
  );
};
export const rule = (name: string, trafficPolicy: object, more: object = {}) =>
  istioObject('DestinationRule', { name }, { host: name, trafficPolicy, ...more });
/** Outlier detection that looks often and leaves out long, and as many as there are. */
export const quick = { interval: '0.1s', baseEjectionTime: '60s', maxEjectionPercent: 100 };

/** Round robin over all endpoints, wherever they are. */
export const anywhere = { simple: 'ROUND_ROBIN', localityLbSetting: { enabled: false } };

/** A DestinationRule for a service, and a VirtualService without retries: what happens to an endpoint must not be hidden by another attempt. */
export const balanced = (name: string, trafficPolicy?: object) => [
  ...(trafficPolicy ? [rule(name, trafficPolicy)] : []),
  istioObject(
    'VirtualService',
    { name },
    { hosts: [name], http: [{ retries: { attempts: 0 }, route: [{ destination: { host: name } }] }] },
  ),
];

const nodeObjects = [
  ...Object.entries({ a1: ['a', '1'], a2: ['a', '2'], b: ['b', '1'], c: ['c', '1'] }).map(([name, [region, zone]]) =>
    nodeObject(`node-${name}`, region ?? '', zone ?? ''),
  ),
];

/** A client at the place of `a1` beside one real Envoy, whose configuration is made from DestinationRules. */
export interface Client {
  readonly get: (to: string, path?: string, more?: Partial<Call>) => Promise<Answer>;
  /** The place that answers. */
  readonly place: (to: string, path?: string, more?: Partial<Call>) => Promise<string>;
  /** How many of so many requests each place answers. */
  readonly shares: (to: string, count: number, path?: string, more?: Partial<Call>) => Promise<Record<string, number>>;
  /** A statistic of a cluster that has this in its name. */
  readonly stat: (cluster: string, name: string) => Promise<number>;
  readonly origins: Readonly<Record<Place, Origin>>;
  readonly envoy: () => OfflineEnvoy;
}

/** Starts Envoy and the servers before the tests of a file, and ends them after the tests. Endpoints of the services `changing` can be set later. */
export function clientOf(objects: readonly ReturnType<typeof istioObject>[], changing: readonly string[] = []): Client {
  let envoy: OfflineEnvoy;
  const origins = {} as Record<Place, Origin>;
  before(async () => {
    for (const [name, byte] of Object.entries(places))
      origins[name as Place] = await startOrigin(name, net.ip(byte), ORIGIN_PORT);
    envoy = await startOfflineEnvoy({
      net,
      objects: [...nodeObjects, ...objects],
      proxy: {
        name: 'client',
        namespace: 'default',
        labels: { app: 'client', place: 'b1' },
        locality: { region: 'a', zone: '1', subzone: '' },
        ipAddress: net.ip(9),
      },
      meshConfig: decodeMeshConfig({}).value,
      changing: changing.map(clusterName),
    });
  });

  after(async () => {
    await envoy?.stop();
    await Promise.all(Object.values(origins).map((origin) => origin.close()));
  });

  const get = (to: string, path = '/', more: Partial<Call> = {}): Promise<Answer> =>
    call(path, { address: net.everywhere, port: PORT, host: to, ...more });
  const place = async (to: string, path = '/', more: Partial<Call> = {}): Promise<string> =>
    (await get(to, path, more)).seen?.origin ?? '';
  const shares = async (
    to: string,
    count: number,
    path = '/',
    more: Partial<Call> = {},
  ): Promise<Record<string, number>> => {
    const counts: Record<string, number> = {};
    for (let i = 0; i < count; i++) {
      const { status, headers } = await get(to, path, more);
      const key = status === 503 ? '503' : String(headers['x-origin']);
      counts[key] = (counts[key] ?? 0) + 1;
    }
    return counts;
  };
  const stat = async (cluster: string, name: string): Promise<number> => {
    const text = await envoy.admin(`/stats?filter=${encodeURIComponent(name)}`);
    const line = text.split('\n').find((one) => one.includes(cluster) && one.includes(`.${name}: `));
    return Number(line?.split(': ')[1] ?? Number.NaN);
  };

  return { get, place, shares, stat, origins, envoy: () => envoy };
}
