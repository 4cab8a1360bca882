import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, test } from 'node:test';
import { decodeMeshConfig } from '@istio-ts/api';
import { proves } from '../field-proof.ts';
import { TestAuthority } from '../testing/authority.ts';
import {
  type GrpcAuthorizer,
  type HttpAuthorizer,
  startGrpcAuthorizer,
  startHttpAuthorizer,
} from '../testing/authorizers.ts';
import { freePort } from '../testing/envoy.ts';
import { httpGet } from '../testing/http-client.ts';
import { istioObject, podObject, serviceObject, sliceObject } from '../testing/objects.ts';
import { LoopbackNet, type OfflineEnvoy, startOfflineEnvoy } from '../testing/offline-envoy.ts';
import { type Origin, startOrigin } from '../testing/origin.ts';

/** An authoriser that is a workload of the mesh: its sidecar demands mutual TLS, and admits only the workload that asks. Two real Envoys. */

const net = new LoopbackNet();
const folder = mkdtempSync(join(tmpdir(), 'authz-mtls-'));
const authority = new TestAuthority(folder, 'mesh');
const HOST = 'authz.checks.svc.cluster.local';
const [WEB, AUTHZ] = [net.ip(9), net.ip(14)];
const envoys: OfflineEnvoy[] = [];
let [webPort, httpPort, grpcPort] = [0, 0, 0];
let app: Origin;
let overHttp: HttpAuthorizer;
let overGrpc: GrpcAuthorizer;

const identityOf = (namespace: string, account: string) => {
  const { certificate, key } = authority.issue(account, [`URI:spiffe://cluster.local/ns/${namespace}/sa/${account}`]);
  return { certificate, key, roots: authority.root };
};
const policy = (provider: string, path: string) =>
  istioObject(
    'AuthorizationPolicy',
    { name: provider, namespace: 'shop' },
    { action: 'CUSTOM', provider: { name: provider }, rules: [{ to: [{ operation: { paths: [path] } }] }] },
  );

before(async () => {
  [webPort, httpPort, grpcPort] = [await freePort(), await freePort(), await freePort()];
  app = await startOrigin('web', '127.0.0.1', webPort);
  overHttp = await startHttpAuthorizer('127.0.0.1', httpPort, ({ path }) => ({
    status: path.includes('deny') ? 401 : 200,
  }));
  overGrpc = await startGrpcAuthorizer('127.0.0.1', grpcPort, async ({ attributes }) =>
    attributes?.request?.http?.path?.includes('deny')
      ? { status: { code: 7 }, deniedResponse: { status: { code: 'Unauthorized' } } }
      : { status: { code: 0 } },
  );
  const ports = [
    { name: 'http', port: 8000, targetPort: httpPort },
    { name: 'grpc', port: 9000, targetPort: grpcPort },
  ];
  const setup = {
    net,
    objects: [
      podObject({ name: 'web-0', namespace: 'shop', labels: { app: 'web' }, ip: WEB, account: 'web', mesh: true }),
      podObject({
        name: 'authz-0',
        namespace: 'checks',
        labels: { app: 'authz' },
        ip: AUTHZ,
        account: 'authz',
        mesh: true,
      }),
      serviceObject({ name: 'web', namespace: 'shop' }, [{ name: 'http', port: 80, targetPort: webPort }], {
        clusterIP: net.ip(20),
        clusterIPs: [net.ip(20)],
      }),
      serviceObject({ name: 'authz', namespace: 'checks' }, ports, { clusterIP: net.ip(21), clusterIPs: [net.ip(21)] }),
      sliceObject(
        'authz',
        ports.map(({ name, targetPort }) => ({ name, port: targetPort, protocol: 'TCP' })),
        [{ ip: AUTHZ, pod: 'authz-0', node: 'node-1' }],
        'checks',
      ),
      istioObject('PeerAuthentication', { name: 'default', namespace: 'checks' }, { mtls: { mode: 'STRICT' } }),
      istioObject(
        'AuthorizationPolicy',
        { name: 'askers', namespace: 'checks' },
        { action: 'ALLOW', rules: [{ from: [{ source: { principals: ['cluster.local/ns/shop/sa/web'] } }] }] },
      ),
      policy('by-http', '/http*'),
      policy('by-grpc', '/grpc*'),
    ],
    meshConfig: decodeMeshConfig({
      inboundTrafficPolicy: { mode: 'LOCALHOST' },
      extensionProviders: [
        { name: 'by-http', envoyExtAuthzHttp: { service: HOST, port: 8000 } },
        { name: 'by-grpc', envoyExtAuthzGrpc: { service: HOST, port: 9000 } },
      ],
    }).value,
  };
  envoys.push(
    await startOfflineEnvoy({
      ...setup,
      proxy: { name: 'authz-0', namespace: 'checks' },
      identity: identityOf('checks', 'authz'),
      arrivals: [httpPort, grpcPort].map((port) => ({ address: AUTHZ, port })),
    }),
    await startOfflineEnvoy({
      ...setup,
      proxy: { name: 'web-0', namespace: 'shop' },
      identity: identityOf('shop', 'web'),
      arrivals: [{ address: WEB, port: webPort }],
    }),
  );
});
after(async () => {
  for (const envoy of envoys) await envoy.stop();
  await Promise.all([app?.close(), overHttp?.close(), overGrpc?.close()]);
  rmSync(folder, { recursive: true, force: true });
});
beforeEach(() => {
  overHttp.checks.length = 0;
  overGrpc.checks.length = 0;
});

const status = (path: string): Promise<number> =>
  httpGet({ address: WEB, port: webPort, host: 'web', path }).then((answer) => answer.status);

test('the authoriser’s sidecar takes nothing but mutual TLS', async () => {
  proves('PeerAuthentication.spec.mtls.mode');
  for (const port of [httpPort, grpcPort]) await assert.rejects(httpGet({ address: AUTHZ, port, host: HOST }));
  assert.equal(overHttp.checks.length, 0);
});

test('it is asked over HTTP by mutual TLS, as the workload that asks', async () => {
  proves(
    'AuthorizationPolicy.spec.provider.name',
    'MeshConfig.extensionProviders[].envoyExtAuthzHttp.service',
    'MeshConfig.extensionProviders[].envoyExtAuthzHttp.port',
  );
  assert.equal(await status('/http'), 200);
  assert.equal(await status('/http/deny'), 401);
  assert.deepEqual(
    overHttp.checks.map(({ path }) => path),
    ['/http', '/http/deny'],
  );
  assert.match(
    String(overHttp.checks[0]?.headers['x-forwarded-client-cert']),
    /URI=spiffe:\/\/cluster\.local\/ns\/shop\/sa\/web/,
  );
});

test('and over gRPC', async () => {
  proves(
    'MeshConfig.extensionProviders[].envoyExtAuthzGrpc.service',
    'MeshConfig.extensionProviders[].envoyExtAuthzGrpc.port',
  );
  assert.equal(await status('/grpc'), 200);
  assert.equal(await status('/grpc/deny'), 401);
  assert.equal(overGrpc.checks.length, 2);
  assert.equal(await status('/free'), 200);
  assert.deepEqual([overHttp.checks.length, overGrpc.checks.length], [0, 2]);
});
