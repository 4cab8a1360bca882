import assert from 'node:assert/strict';
import { after, beforeEach, test } from 'node:test';
import { proves } from '../field-proof.ts';
import { eventually } from '../testing/envoy.ts';
import type { Workload } from '../testing/workloads-envoy.ts';
import { ask, DOWN, HTTP, http, seen, startCheckedWorkloads } from './external-authorization.test-support.ts';

/** Authorisers that are asked over HTTP. */

const providers = [
  http('http', {
    pathPrefix: '/check',
    includeRequestHeadersInCheck: ['x-exact', 'x-pre*', '*-token'],
    includeAdditionalHeadersInCheck: { 'x-added': 'by the mesh', 'x-exact': 'wins' },
    headersToUpstreamOnAllow: ['x-user', 'x-up-*'],
    headersToDownstreamOnDeny: ['x-why', '*-cookie'],
    headersToDownstreamOnAllow: ['x-seen'],
  }),
  http('http-plain'),
  http('http-old', { service: `default/${HTTP}`, includeHeadersInCheck: ['x-exact'] }),
  http('http-body', { includeRequestBodyInCheck: { maxRequestBytes: 8, allowPartialMessage: true } }),
  http('http-bytes', { includeRequestBodyInCheck: { maxRequestBytes: 64, packAsBytes: true } }),
  http('http-whole-body', { includeRequestBodyInCheck: { maxRequestBytes: 8 } }),
  http('http-slow', { timeout: '0.2s' }),
  http('http-down', { service: DOWN }),
  http('http-down-open', { service: DOWN, failOpen: true }),
  http('http-down-503', { service: DOWN, statusOnError: '503' }),
];
const workloads: readonly Workload[] = [...providers.map(({ name }) => ({ name, policies: [ask(name, '/asked*')] }))];
const { app, envoy, overHttp, status, clear, stop } = await startCheckedWorkloads({ providers, workloads });
after(stop);
beforeEach(clear);

test('what is asked, and what goes on to the application when the answer is yes', async () => {
  proves(
    'AuthorizationPolicy.spec.action',
    'AuthorizationPolicy.spec.provider.name',
    'MeshConfig.extensionProviders[].name',
    'MeshConfig.extensionProviders[].envoyExtAuthzHttp.service',
    'MeshConfig.extensionProviders[].envoyExtAuthzHttp.port',
    'MeshConfig.extensionProviders[].envoyExtAuthzHttp.pathPrefix',
    'MeshConfig.extensionProviders[].envoyExtAuthzHttp.includeRequestHeadersInCheck[]',
    'MeshConfig.extensionProviders[].envoyExtAuthzHttp.includeAdditionalHeadersInCheck[]',
    'MeshConfig.extensionProviders[].envoyExtAuthzHttp.headersToUpstreamOnAllow[]',
    'MeshConfig.extensionProviders[].envoyExtAuthzHttp.headersToDownstreamOnAllow[]',
  );
  const answer = await envoy.ask('http', {
    path: '/asked?q=1',
    method: 'POST',
    body: 'hello',
    headers: { 'x-exact': 'a', 'x-prefix': 'b', 'my-token': 'c', 'x-other': 'd', 'x-user': 'forged', 'x-up-1': 'f' },
  });
  assert.equal(answer.status, 200);
  const [check] = overHttp.checks;
  assert.deepEqual([check?.method, check?.path, check?.body], ['POST', '/check/asked?q=1', '']);
  const { headers = {} } = check ?? {};
  assert.deepEqual(
    ['x-exact', 'x-prefix', 'my-token', 'x-other', 'x-added'].map((name) => headers[name]),
    ['wins', 'b', 'c', undefined, 'by the mesh'],
  );
  assert.equal(headers.host, 'http');
  const upstream = seen(answer).headers;
  // What the authoriser says replaces what the client claimed.
  assert.deepEqual([upstream['x-user'], upstream['x-up-1'], upstream['x-private']], ['alice', 'one', undefined]);
  assert.deepEqual([answer.headers['x-seen'], answer.headers['x-private']], ['yes', undefined]);
});

test('when the answer is no, its status, its body and the named headers go back', async () => {
  proves('MeshConfig.extensionProviders[].envoyExtAuthzHttp.headersToDownstreamOnDeny[]');
  const arrivals = app.arrivals.length;
  const { status: code, headers, text } = await envoy.ask('http', { path: '/asked/deny' });
  assert.deepEqual([code, headers['x-why'], headers['set-cookie'], text], [401, 'no', ['a=b'], 'not you']);
  assert.equal(headers['x-private'], undefined);
  assert.equal(app.arrivals.length, arrivals);
});

test('only what the rules select is asked about', async () => {
  proves('AuthorizationPolicy.spec.rules[].to[].operation.paths[]');
  assert.equal(await status('http', '/free'), 200);
  assert.equal(overHttp.checks.length, 0);
  assert.equal(await status('http', '/asked'), 200);
  assert.equal(overHttp.checks.length, 1);
});

test('nothing of the request but method, path, host, length and credentials goes along unasked; an older field names headers too', async () => {
  proves('MeshConfig.extensionProviders[].envoyExtAuthzHttp.includeHeadersInCheck[]');
  const headers = { 'x-exact': 'a', authorization: 'Basic x', cookie: 'c=d' };
  await envoy.ask('http-plain', { path: '/asked', headers });
  await envoy.ask('http-old', { path: '/asked', headers });
  const [bare, old] = overHttp.checks.map((check) => check.headers);
  assert.deepEqual([bare?.['x-exact'], bare?.authorization, bare?.cookie], [undefined, 'Basic x', undefined]);
  assert.deepEqual([old?.['x-exact'], old?.authorization, old?.cookie], ['a', 'Basic x', undefined]);
});

test('the body: its first bytes, or a refusal of what is longer', async () => {
  proves(
    'MeshConfig.extensionProviders[].envoyExtAuthzHttp.includeRequestBodyInCheck.maxRequestBytes',
    'MeshConfig.extensionProviders[].envoyExtAuthzHttp.includeRequestBodyInCheck.allowPartialMessage',
  );
  const post = (name: string, body: string) => envoy.ask(name, { path: '/asked', method: 'POST', body });
  assert.equal((await post('http-body', 'longer than eight')).status, 200);
  assert.equal((await post('http-body', 'short')).status, 200);
  assert.equal((await post('http-whole-body', 'eight...')).status, 200);
  assert.deepEqual(
    overHttp.checks.map(({ body }) => body),
    ['longer t', 'short', 'eight...'],
  );
  assert.equal((await post('http-whole-body', 'nine.....')).status, 413);
  assert.equal(overHttp.checks.length, 3);
});

test('the body as bytes is the same body: over HTTP there is no text of it beside', async () => {
  proves('MeshConfig.extensionProviders[].envoyExtAuthzHttp.includeRequestBodyInCheck.packAsBytes');
  const body = 'b\u0001\u0000 ü as bytes';
  assert.equal((await envoy.ask('http-bytes', { path: '/asked', method: 'POST', body })).status, 200);
  assert.deepEqual(
    overHttp.checks.map((check) => check.body),
    [body],
  );
});

test('an authoriser that fails or takes too long refuses, unless it may not', async () => {
  proves(
    'MeshConfig.extensionProviders[].envoyExtAuthzHttp.timeout',
    'MeshConfig.extensionProviders[].envoyExtAuthzHttp.failOpen',
    'MeshConfig.extensionProviders[].envoyExtAuthzHttp.statusOnError',
  );
  // A busy machine does not always answer in time.
  await eventually(async () => ((await status('http-slow', '/asked')) === 200 ? true : undefined), 'an answer in time');
  assert.equal(await status('http-slow', '/asked/slow'), 403);
  assert.equal(await status('http-plain', '/asked/slow'), 200);
  assert.equal(await status('http-plain', '/asked/error'), 403);
  assert.equal(await status('http-down', '/asked'), 403);
  assert.equal(await status('http-down-open', '/asked'), 200);
  assert.equal(await status('http-down-503', '/asked'), 503);
  assert.equal(await status('http-down', '/free'), 200);
});
