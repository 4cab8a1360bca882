import type { KubeObject } from '@istio-ts/kube';
import type { Session } from './api.ts';
import { deployment, meshed, namespace, service } from './mesh/objects.test-support.ts';
import { type Answer, ask, fakePrometheus, startTestCluster, type TestCluster } from './server.test-support.ts';
import type { RunningConsole } from './server.ts';

type LoggedConsole = RunningConsole & { readonly log: string[] };

/** A shop with a web and an api, a bank with pay beside it, the traffic between them, and two consoles on that cluster. */
export interface Shop {
  readonly cluster: TestCluster;
  readonly prometheus: Awaited<ReturnType<typeof fakePrometheus>>;
  /** Lets everybody look. */
  readonly open: LoggedConsole;
  /** Wants tokens. */
  readonly closed: LoggedConsole;
  /** Token of somebody who may do everything. */
  readonly admin: string;
  /** Token of somebody who looks into the namespace shop only and changes its networking. */
  readonly developer: string;
  readonly close: () => Promise<void>;
}

const developerRole: KubeObject = {
  apiVersion: 'rbac.authorization.k8s.io/v1',
  kind: 'ClusterRole',
  metadata: { name: 'shop-developer' },
  rules: [
    { apiGroups: ['', 'apps'], resources: ['*'], verbs: ['get', 'list'] },
    { apiGroups: ['networking.istio.io'], resources: ['*'], verbs: ['*'] },
  ],
};

/** Starts the shop; `close` it afterwards. */
export async function startShop(): Promise<Shop> {
  const cluster = await startTestCluster();
  const prometheus = await fakePrometheus([
    { from: 'shop/web-v1@v1', to: 'shop/api-v1@v1', service: 'shop/api', rate: 8 },
    { from: 'shop/web-v1@v1', to: 'shop/api-v1@v1', service: 'shop/api', rate: 2, code: '500' },
    { from: 'shop/web-v1@v1', to: 'bank/pay-v1@v1', service: 'bank/pay', rate: 1 },
  ]);
  const close = async (): Promise<void> => {
    await cluster.close();
    prometheus.close();
  };
  try {
    await cluster.create(
      meshed('shop'),
      meshed('bank'),
      namespace('istio-system'),
      ...deployment('shop', 'web', 'v1'),
      ...deployment('shop', 'api', 'v1'),
      ...deployment('bank', 'pay', 'v1'),
      service('shop', 'api'),
      service('bank', 'pay'),
      developerRole,
    );
    const admin = await cluster.token('admin', 'cluster-admin');
    const developer = await cluster.token('developer', 'shop-developer', 'shop');
    const flags = [`--prometheus-url=http://127.0.0.1:${prometheus.port}`, '--tracing-url=http://127.0.0.1:1/jaeger'];
    const open = await cluster.console([...flags, '--auth-strategy=anonymous']);
    const closed = await cluster.console(flags);
    return { cluster, prometheus, open, closed, admin, developer, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** The header with which programs bring their token. */
export const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

/** Logs in as a browser does; `cookie` is what it sends from then on, empty when it was refused. */
export async function login(
  port: number,
  token: string,
): Promise<{ readonly answer: Answer<Session>; readonly cookie: string }> {
  const answer = await ask<Session>(port, '/api/login', { method: 'POST', body: { token } });
  return { answer, cookie: String(answer.headers['set-cookie']?.[0] ?? '').split(';')[0] ?? '' };
}

/** `more`: lines of the connection pool. */
export const destinationRule = (connections: number, more = ''): string => `apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata:
  name: api
  namespace: shop
spec:
  host: api
  trafficPolicy:
    connectionPool:
      tcp:
        maxConnections: ${connections}
${more}`;
