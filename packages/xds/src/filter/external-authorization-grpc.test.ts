import assert from 'node:assert/strict';
import { after, beforeEach, test } from 'node:test';
import { proves } from '../field-proof.ts';
import { eventually } from '../testing/envoy.ts';
import type { Workload } from '../testing/workloads-envoy.ts';
import {
  ask,
  CALLER,
  DOWN_GRPC,
  GRPC,
  grpc,
  http,
  net,
  seen,
  startCheckedWorkloads,
} from './external-authorization.test-support.ts';

/** Authorisers that are asked over gRPC, about requests and about connections. */

const providers = [
  grpc('grpc'),
  grpc('grpc-body', { includeRequestBodyInCheck: { maxRequestBytes: 8, allowPartialMessage: true } }),
  grpc('grpc-bytes', { includeRequestBodyInCheck: { maxRequestBytes: 64, packAsBytes: true } }),
  grpc('grpc-slow', { timeout: '0.2s', statusOnError: '504' }),
  grpc('grpc-down', { service: DOWN_GRPC }),
  grpc('grpc-down-open', { service: DOWN_GRPC, failOpen: true }),
  grpc('grpc-down-502', { service: DOWN_GRPC, statusOnError: '502' }),
  http('http-plain'),
];
const workloads: readonly Workload[] = [
  ...providers.map(({ name }) => ({ name, policies: [ask(name, '/asked*')] })),
  {
    name: 'identity',
    policies: [
      {
        action: 'CUSTOM',
        provider: { name: 'grpc' },
        rules: [{ from: [{ source: { principals: [CALLER], notIpBlocks: ['192.0.2.0/24'] } }] }],
      },
    ],
  },
  { name: 'bytes', protocol: 'TCP', policies: [ask('grpc')] },
  { name: 'bytes-down', protocol: 'TCP', policies: [ask('grpc-down')] },
  { name: 'bytes-open', protocol: 'TCP', policies: [ask('grpc-down-open')] },
  { name: 'bytes-missing', protocol: 'TCP', policies: [ask('nobody')] },
  { name: 'bytes-http', protocol: 'TCP', policies: [ask('http-plain')] },
];
const { envoy, overGrpc, status, clear, stop } = await startCheckedWorkloads({ providers, workloads });
after(stop);
beforeEach(clear);

test('the whole request is asked about; the answer changes headers', async () => {
  proves(
    'AuthorizationPolicy.spec.provider.name',
    'MeshConfig.extensionProviders[].envoyExtAuthzGrpc.service',
    'MeshConfig.extensionProviders[].envoyExtAuthzGrpc.port',
  );
  const answer = await envoy.ask('grpc', {
    path: '/asked?q',
    as: CALLER,
    headers: { 'x-any': 'thing', 'x-internal': 'x', 'x-user': 'forged' },
  });
  const [check] = overGrpc.checks;
  assert.equal(check?.authority, GRPC);
  const { request, source } = check?.request.attributes ?? {};
  assert.deepEqual([request?.http?.path, request?.http?.headers?.['x-any']], ['/asked?q', 'thing']);
  assert.equal(source?.principal, `spiffe://${CALLER}`);
  const { headers } = seen(answer);
  assert.deepEqual([headers['x-user'], headers['x-internal'], answer.headers['x-seen']], ['bob', undefined, 'grpc']);
  const refused = await envoy.ask('grpc', { path: '/asked/deny' });
  assert.deepEqual([refused.status, refused.headers['x-why'], refused.text], [401, 'grpc', 'not by gRPC']);
  assert.equal(await status('grpc', '/free'), 200);
  assert.equal(overGrpc.checks.length, 2);
});

test('the body, as text or as bytes', async () => {
  proves(
    'MeshConfig.extensionProviders[].envoyExtAuthzGrpc.includeRequestBodyInCheck.maxRequestBytes',
    'MeshConfig.extensionProviders[].envoyExtAuthzGrpc.includeRequestBodyInCheck.allowPartialMessage',
    'MeshConfig.extensionProviders[].envoyExtAuthzGrpc.includeRequestBodyInCheck.packAsBytes',
  );
  await envoy.ask('grpc-body', { path: '/asked', method: 'POST', body: 'longer than eight' });
  await envoy.ask('grpc-bytes', { path: '/asked', method: 'POST', body: 'as bytes' });
  const [text, bytes] = overGrpc.checks.map(({ request }) => request.attributes?.request?.http);
  assert.deepEqual([text?.body, text?.rawBody ?? ''], ['longer t', '']);
  assert.deepEqual([bytes?.body ?? '', Buffer.from(bytes?.rawBody ?? '', 'base64').toString()], ['', 'as bytes']);
});

test('an authoriser that fails or takes too long refuses, unless it may not', async () => {
  proves(
    'MeshConfig.extensionProviders[].envoyExtAuthzGrpc.timeout',
    'MeshConfig.extensionProviders[].envoyExtAuthzGrpc.failOpen',
    'MeshConfig.extensionProviders[].envoyExtAuthzGrpc.statusOnError',
  );
  assert.equal(await status('grpc-slow', '/asked/slow'), 504);
  await eventually(async () => ((await status('grpc-slow', '/asked')) === 200 ? true : undefined), 'an answer in time');
  assert.equal(await status('grpc-down', '/asked'), 403);
  assert.equal(await status('grpc-down-open', '/asked'), 200);
  assert.equal(await status('grpc-down-502', '/asked'), 502);
});

test('rules of CUSTOM policies know who the peer is', async () => {
  proves('AuthorizationPolicy.spec.rules[].from[].source.principals[]');
  assert.equal((await envoy.ask('identity', { path: '/deny', as: CALLER })).status, 401);
  assert.equal((await envoy.ask('identity', { path: '/deny', as: 'cluster.local/ns/x/sa/y' })).status, 200);
  assert.equal((await envoy.ask('identity', { path: '/deny' })).status, 200);
});

test('connections are asked about as well, by gRPC', async () => {
  proves('MeshConfig.extensionProviders[].envoyExtAuthzGrpc.failOpen');
  const passes = async (name: string, from = net.ip(2)): Promise<boolean> =>
    (await envoy.exchange(name, 'hello', { from })).startsWith('app#');
  assert.equal(await passes('bytes'), true);
  assert.equal(overGrpc.checks[0]?.request.attributes?.source?.address?.socketAddress?.address, net.ip(2));
  assert.equal(await passes('bytes', net.ip(3)), false);
  assert.equal(await passes('bytes-down'), false);
  assert.equal(await passes('bytes-open'), true);
  assert.equal(await passes('bytes-missing'), false);
  // An authoriser that speaks HTTP is asked about requests only.
  assert.equal(await passes('bytes-http'), true);
});
