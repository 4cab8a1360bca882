import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo, Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { generateOffline, typeUrls } from '../engine/index.ts';
import { proves } from '../field-proof.ts';
import { selfSigned } from '../testing/certificate.ts';
import { type DnsServer, startDnsServer } from '../testing/dns-server.ts';
import { httpGet } from '../testing/http-client.ts';
import { istioObject, podObject } from '../testing/objects.ts';
import {
  loopbackApp,
  LoopbackNet,
  type OfflineEnvoy,
  ORIGIN_PORT,
  startOfflineEnvoy,
} from '../testing/offline-envoy.ts';
import { keySet, token, type TokenKey, tokenKey } from '../testing/token.ts';

/** Keys that proxies fetch themselves (PILOT_JWT_ENABLE_REMOTE_JWKS). */

const net = new LoopbackNet();
const key = tokenKey('one');
const certificate = selfSigned('idp.test', { extension: 'subjectAltName=DNS:secure.test' });
const folder = mkdtempSync(join(tmpdir(), 'token-keys-'));
const roots = join(folder, 'roots.pem');
writeFileSync(roots, certificate.certificate);

let dns: DnsServer;
let envoy: OfflineEnvoy;
const servers: Server[] = [];
let ports: { readonly plain: number; readonly secure: number };

const listen = async (server: Server, address: string, port = 0): Promise<number> => {
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(port, address, resolve));
  return (server.address() as AddressInfo).port;
};

const rules = () => [
  ['service', 'http://keys.default.svc.cluster.local/keys'],
  ['short', 'http://keys.default.svc/keys'],
  ['plain', `http://plain.test:${ports.plain}/keys`],
  ['trusted', `https://secure.test:${ports.secure}/keys`],
  ['untrusted', `https://other.test:${ports.secure}/keys`],
  ['patient', `http://plain.test:${ports.plain}/slow`],
  ['hasty', `http://plain.test:${ports.plain}/slow`],
];

const objects = () => [
  podObject({ name: 'gw-0', labels: { istio: 'gateway' }, ip: net.everywhere }),
  ...loopbackApp(net, 'keys', { last: 3, port: 80, protocol: 'http' }, [{ last: 2 }]),
  istioObject(
    'Gateway',
    { name: 'door' },
    {
      selector: { istio: 'gateway' },
      servers: [{ port: { number: 8080, name: 'http', protocol: 'HTTP' }, hosts: ['*'] }],
    },
  ),
  istioObject(
    'VirtualService',
    { name: 'all' },
    { hosts: ['*'], gateways: ['door'], http: [{ directResponse: { status: 200 } }] },
  ),
  istioObject(
    'RequestAuthentication',
    { name: 'all' },
    {
      jwtRules: rules().map(([issuer, jwksUri]) => ({
        issuer,
        jwksUri,
        fromHeaders: [{ name: `x-${issuer}` }],
        timeout: issuer === 'hasty' ? '0.05s' : '10s',
      })),
    },
  ),
  // Instead of the system's roots, those of this test.
  istioObject(
    'EnvoyFilter',
    { name: 'roots' },
    {
      configPatches: [
        {
          applyTo: 'CLUSTER',
          match: { context: 'GATEWAY', cluster: { name: `jwks|${ports.secure}|https|secure.test` } },
          patch: {
            operation: 'MERGE',
            value: {
              transport_socket: {
                name: 'envoy.transport_sockets.tls',
                typed_config: {
                  '@type': 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext',
                  common_tls_context: { validation_context: { trusted_ca: { filename: roots } } },
                },
              },
            },
          },
        },
      ],
    },
  ),
];
const proxy = { type: 'router', name: 'gw-0', namespace: 'default', ipAddress: net.everywhere } as const;

before(async () => {
  const serve: RequestListener = (request, response) => {
    if (request.url === '/slow') setTimeout(() => response.end(keySet(key)), 1000);
    else response.end(keySet(key));
  };
  await listen(createServer(serve), net.ip(2), ORIGIN_PORT);
  ports = {
    plain: await listen(createServer(serve), net.ip(4)),
    secure: await listen(createTlsServer({ cert: certificate.certificate, key: certificate.key }, serve), net.ip(4)),
  };
  const at = net.ip(4);
  dns = await startDnsServer(net.ip(5), { 'plain.test': at, 'secure.test': at, 'other.test': at });
  envoy = await startOfflineEnvoy({ net, objects: objects(), proxy, mesh: { keyFetching: 'envoy' }, dns });
});
after(async () => {
  await envoy?.stop();
  await dns?.close();
  for (const server of servers) server.close();
  rmSync(folder, { recursive: true, force: true });
});

const ask = async (issuer: string, signer: TokenKey = key): Promise<string> => {
  const headers = { [`x-${issuer}`]: token(signer, { iss: issuer }) };
  const { status, body } = await httpGet({ address: net.everywhere, port: 8080, host: 'a.test', headers });
  return `${status} ${body}`.trim();
};

test('keys come from services of the mesh and from servers outside, by https only with a good certificate', async () => {
  proves('RequestAuthentication.spec.jwtRules[].jwksUri', 'RequestAuthentication.spec.jwtRules[].timeout');
  for (const issuer of ['service', 'short', 'plain', 'trusted']) {
    assert.equal(await ask(issuer), '200', issuer);
    assert.match(await ask(issuer, tokenKey('one')), /^401 Jwt verification fails/, issuer);
  }
  assert.equal(await ask('untrusted'), '401 Jwks remote fetch is failed');
  assert.equal(await ask('patient'), '200');
  assert.equal(await ask('hasty'), '401 Jwks remote fetch is failed');
});

test('an address that is forbidden is not asked', () => {
  const forbidden = istioObject(
    'RequestAuthentication',
    { name: 'bad' },
    {
      jwtRules: [{ issuer: 'bad', jwksUri: 'http://169.254.169.254/keys' }],
    },
  );
  const options = {
    mesh: { keyFetching: 'envoy', forbidsKeysFrom: (address: string) => address.startsWith('169.254.') },
  } as const;
  const { resources } = generateOffline([...objects(), forbidden], proxy, options);
  const text = (url: string): string => JSON.stringify((resources.get(url) ?? []).map((one) => one.json()));
  assert.match(text(typeUrls.listener), /"issuer":"bad"/);
  assert.doesNotMatch(text(typeUrls.listener), /169\.254/);
  assert.doesNotMatch(text(typeUrls.cluster), /169\.254/);
});

test('with hybrid fetching only services of the mesh are asked by proxies', () => {
  const { resources } = generateOffline(objects(), proxy, { mesh: { keyFetching: 'hybrid' } });
  const names = (resources.get(typeUrls.cluster) ?? []).map(({ name }) => name);
  assert.deepEqual(
    names.filter((name) => name.startsWith('jwks|')),
    [],
  );
  const listeners = JSON.stringify((resources.get(typeUrls.listener) ?? []).map((one) => one.json()));
  assert.equal(listeners.match(/"remoteJwks"/g)?.length, 2);
  assert.match(listeners, /"cluster":"outbound\|80\|\|keys\.default\.svc\.cluster\.local"/);
});
