import { setTimeout as wait } from 'node:timers/promises';
import { decodeMeshConfig } from '@istio-ts/api';
import type { CheckRequest, CheckResponse } from '@istio-ts/envoy';
import {
  type GrpcAuthorizer,
  type HttpAuthorizer,
  type HttpCheck,
  type HttpVerdict,
  startGrpcAuthorizer,
  startHttpAuthorizer,
} from '../testing/authorizers.ts';
import { freePort } from '../testing/envoy.ts';
import { LoopbackNet, loopbackApp, ORIGIN_PORT } from '../testing/offline-envoy.ts';
import { type Arrival, type Origin, startOrigin } from '../testing/origin.ts';
import { type PolicyAnswer, startWorkloads, type Workload, type Workloads } from '../testing/workloads-envoy.ts';

/** Small authorisers over HTTP and gRPC, the providers that name them, and workloads on a real Envoy whose CUSTOM policies name these. */

export const net = new LoopbackNet();
export const HTTP = 'http-authz.default.svc.cluster.local';
export const GRPC = 'grpc-authz.default.svc.cluster.local';
/** Nothing listens where these two lead to. */
export const DOWN = 'down-authz.default.svc.cluster.local';
export const DOWN_GRPC = 'down-grpc.default.svc.cluster.local';
export const CALLER = 'cluster.local/ns/shop/sa/caller';

/** An extension provider over HTTP; `more` are fields of it. */
export const http = (name: string, more: object = {}) => ({
  name,
  envoyExtAuthzHttp: { service: HTTP, port: 8000, ...more },
});
/** An extension provider over gRPC; `more` are fields of it. */
export const grpc = (name: string, more: object = {}) => ({
  name,
  envoyExtAuthzGrpc: { service: GRPC, port: 9000, ...more },
});

type Spec = Readonly<Record<string, unknown>>;

/** A policy that asks the provider about requests to these paths, or about all. */
export const ask = (provider: string, ...paths: readonly string[]): Spec => ({
  action: 'CUSTOM',
  provider: { name: provider },
  rules: [paths.length === 0 ? {} : { to: [{ operation: { paths } }] }],
});

const header = (key: string, value: string) => ({ header: { key, value } });

/** Services: those of the authorisers, and two that routes may lead to. */
export const services = [
  ...loopbackApp(net, 'http-authz', { last: 11, port: 8000, protocol: 'http' }, [{ last: 12 }]),
  ...loopbackApp(net, 'grpc-authz', { last: 13, port: 9000, protocol: 'grpc' }, [{ last: 14 }]),
  ...loopbackApp(net, 'down-authz', { last: 15, port: 8000, protocol: 'http' }, [{ last: 16 }]),
  ...loopbackApp(net, 'down-grpc', { last: 21, port: 9000, protocol: 'grpc' }, [{ last: 22 }]),
  ...loopbackApp(net, 'web', { last: 17, port: 80, protocol: 'http' }, [{ last: 18 }]),
  ...loopbackApp(net, 'special', { last: 19, port: 80, protocol: 'http' }, [{ last: 20 }]),
];

const httpVerdict =
  (token: string) =>
  ({ path }: HttpCheck): HttpVerdict => {
    if (path.includes('deny'))
      return { status: 401, headers: { 'x-why': 'no', 'set-cookie': 'a=b', 'x-private': 'secret' }, body: 'not you' };
    if (path.includes('error')) return { status: 500 };
    return {
      status: 200,
      delay: path.includes('slow') ? 3000 : 0,
      headers: {
        'x-user': 'alice',
        'x-up-1': 'one',
        'x-seen': 'yes',
        'x-private': 'secret',
        authorization: `Bearer ${token}`,
      },
    };
  };

async function grpcVerdict({ attributes }: CheckRequest): Promise<CheckResponse> {
  const path = attributes?.request?.http?.path ?? '';
  if (path.includes('slow')) await wait(3000);
  if (path.includes('deny') || attributes?.source?.address?.socketAddress?.address === net.ip(3))
    return {
      status: { code: 7 },
      deniedResponse: { status: { code: 'Unauthorized' }, headers: [header('x-why', 'grpc')], body: 'not by gRPC' },
    };
  return {
    status: { code: 0 },
    okResponse: {
      headers: [header('x-user', 'bob')],
      headersToRemove: ['x-internal'],
      responseHeadersToAdd: [header('x-seen', 'grpc')],
    },
  };
}

export interface CheckedWorkloads {
  readonly envoy: Workloads;
  readonly app: Origin;
  readonly overHttp: HttpAuthorizer;
  readonly overGrpc: GrpcAuthorizer;
  /** The status of an answer of a workload. */
  readonly status: (name: string, path: string) => Promise<number>;
  /** Forgets what was asked. */
  readonly clear: () => void;
  readonly stop: () => Promise<void>;
}

/** Starts authorisers and workloads. Both authorisers refuse paths with `deny` in them, the one over gRPC also what comes from `net.ip(3)`; `token` is what the one over HTTP says that requests bring. */
export async function startCheckedWorkloads(setup: {
  readonly providers: readonly object[];
  readonly workloads: readonly Workload[];
  readonly token?: string;
}): Promise<CheckedWorkloads> {
  const { providers, workloads, token = 'none' } = setup;
  const app = await startOrigin('app', '127.0.0.1', await freePort());
  const overHttp = await startHttpAuthorizer(net.ip(12), ORIGIN_PORT, httpVerdict(token));
  const overGrpc = await startGrpcAuthorizer(net.ip(14), ORIGIN_PORT, grpcVerdict);
  const close = () => Promise.all([app.close(), overHttp.close(), overGrpc.close()]);
  try {
    const envoy = await startWorkloads({
      net,
      workloads,
      app: app.port,
      objects: services,
      meshConfig: decodeMeshConfig({ extensionProviders: providers }).value,
    });
    return {
      envoy,
      app,
      overHttp,
      overGrpc,
      status: async (name, path) => (await envoy.ask(name, { path })).status,
      clear: () => {
        overHttp.checks.length = 0;
        overGrpc.checks.length = 0;
      },
      stop: async () => {
        await envoy.stop();
        await close();
      },
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** What the application got of a request, as it said in its answer. */
export const seen = ({ text }: PolicyAnswer): Arrival => JSON.parse(text) as Arrival;
