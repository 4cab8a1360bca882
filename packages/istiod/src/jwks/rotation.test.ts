import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { after, before, describe, it } from 'node:test';
import { findEnvoy, withoutEnvoy } from '@istio-ts/envoy/testing/binary';
import { MetricsRegistry } from '@istio-ts/metrics';
import { forbiddenAddresses } from '@istio-ts/security/fetch/addresses';
import { proves } from '@istio-ts/xds/field-proof';
import { httpGet } from '@istio-ts/xds/testing/http-client';
import { istioObject, podObject } from '@istio-ts/xds/testing/objects';
import { keySet, token, type TokenKey, tokenKey } from '@istio-ts/xds/testing/token';
import { eventually } from '@istio-ts/envoy/testing/eventually';
import { freePort, OWN_AGENT, type RunningAgent, startAgent } from '../clients/agent.test-support.ts';
import { boundIngress } from '../clients/bound-sidecars.test-support.ts';
import { type Cleanups, listening } from '../clients/listening.test-support.ts';
import { type ControlPlane, startControlPlane } from '../clients/control-plane.test-support.ts';
import { silent } from '../silent-log.test-support.ts';
import { startTokenKeys } from './start.ts';

/** Keys from an issuer's server to a proxy: fetched, rotated, and gone, as a client of the proxy sees it. */

const byte = 16 + Math.floor(Math.random() * 200);
const ip = (last: number): string => `127.84.${byte}.${last}`;

describe('keys that istiod fetches', { skip: withoutEnvoy }, () => {
  const cleanups: Cleanups = [];
  const documents = new Map<string, string>();
  const metrics = new MetricsRegistry();
  let controlPlane: ControlPlane;
  let agent: RunningAgent;
  let port = 0;
  let issuer = '';
  const old = tokenKey('old');
  const next = tokenKey('next', 'ES256');
  const told = (): string => [...controlPlane.complaints, agent.output()].join('\n');

  before(async () => {
    const server = createServer((request, response) => {
      const text = documents.get(request.url ?? '');
      response.writeHead(text === undefined ? 503 : 200).end(text);
    });
    const app = createServer((_request, response) => response.end('served'));
    const at = await listening(server, cleanups, ip(1));
    const target = await listening(app, cleanups);
    issuer = `http://${ip(1)}:${at}`;
    documents.set('/.well-known/openid-configuration', JSON.stringify({ issuer, jwks_uri: `${issuer}/found` }));
    port = await freePort();
    controlPlane = await startControlPlane(
      [
        podObject({ name: 'web-1', labels: { app: 'web' }, ip: ip(2), account: 'web' }),
        boundIngress({ name: 'web', bind: ip(2), port, app: target }),
        istioObject(
          'RequestAuthentication',
          { name: 'web' },
          {
            selector: { matchLabels: { app: 'web' } },
            jwtRules: [
              { issuer: 'uri', jwksUri: `${issuer}/keys` },
              { issuer, fromHeaders: [{ name: 'x-found' }] },
            ],
          },
        ),
      ],
      { proxyListenPort: await freePort(), proxyInboundListenPort: await freePort() },
    );
    cleanups.push(() => controlPlane.close());
    const settings = {
      fetching: 'istiod' as const,
      refreshMs: 100,
      insecure: false,
      forbids: forbiddenAddresses('', '127.84.0.0/16'),
      proxies: () => undefined,
    };
    const keys = startTokenKeys(controlPlane.mesh, controlPlane.sources, settings, { metrics, log: silent });
    cleanups.push(() => keys.close());
    agent = await startAgent({
      command: OWN_AGENT,
      controlPlane,
      pod: { name: 'web-1', namespace: 'default', account: 'web', ip: ip(2), labels: { app: 'web' } },
      env: { ENVOY_BINARY: findEnvoy() ?? '' },
    });
    cleanups.push(() => agent.stop());
  });
  after(async () => {
    for (const cleanup of cleanups.reverse()) await cleanup();
  });

  const status = async (headers: Readonly<Record<string, string>>): Promise<number> =>
    (await httpGet({ address: ip(2), port, host: 'web', headers }).catch(() => ({ status: 0 }))).status;
  const uri = (key: TokenKey) => ({ authorization: `Bearer ${token(key, { iss: 'uri' })}` });
  const found = (key: TokenKey) => ({ 'x-found': token(key, { iss: issuer }) });
  const becomes = (expected: number, headers: Readonly<Record<string, string>>) =>
    eventually(
      `status ${expected}`,
      () => status(headers),
      (got) => got === expected,
      told,
    );
  const problems = () => [...controlPlane.mesh.problems.values()].flat().map(({ path }) => path);

  it('until there are any, tokens are refused and requests without one are not', async () => {
    await becomes(200, {});
    assert.equal(await status(uri(old)), 401);
    assert.equal(await status(found(old)), 401);
    await eventually('problems', problems, (all) => all.length === 2, told);
  });

  it('reach proxies, and newer ones take their place, without any restart', async () => {
    proves('RequestAuthentication.spec.jwtRules[].jwksUri', 'RequestAuthentication.spec.jwtRules[].issuer');
    documents.set('/keys', keySet(old));
    documents.set('/found', keySet(old));
    for (const headers of [uri(old), found(old)]) await becomes(200, headers);
    assert.deepEqual(problems(), []);
    assert.equal(await status(uri(next)), 401);
    // Both for a while, as issuers do it: tokens of both are good.
    documents.set('/keys', keySet(old, next));
    await becomes(200, uri(next));
    assert.equal(await status(uri(old)), 200);
    documents.set('/keys', keySet(next));
    await becomes(401, uri(old));
    assert.equal(await status(uri(next)), 200);
    assert.equal(await status(found(old)), 200);
    assert.deepEqual(controlPlane.complaints, []);
  });

  it('stay in force while the server is down or answers nonsense', async () => {
    documents.set('/keys', '<html>');
    documents.delete('/found');
    await eventually('problems', problems, (all) => all.length === 2, told);
    assert.equal(await status(uri(next)), 200);
    assert.equal(await status(found(old)), 200);
    assert.equal(await status(uri(old)), 401);
    assert.match(metrics.text(), /pilot_jwks_resolver_network_fetch_fail_total [1-9]/);
    assert.match(metrics.text(), /pilot_jwks_resolver_network_fetch_success_total [1-9]/);
    assert.match(metrics.text(), /istiod_jwks_missing 0/);
  });
});
