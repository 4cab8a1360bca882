import assert from 'node:assert/strict';
import { test } from 'node:test';
import { proves } from '../field-proof.ts';
import { istioObject, secretObject } from '../testing/objects.ts';
import {
  authority,
  type Case,
  client,
  clientOf,
  host,
  MESH,
  PORT,
  roots,
  SECURE,
  server,
  stranger,
} from './connection-fields.test-support.ts';

/** TLS that a DestinationRule asks for, as a client of one real Envoy sees it. */

const tls = (settings: object): Case => ({ policy: { tls: settings }, pod: SECURE });
const cases: Readonly<Record<string, Case>> = {
  plaintext: {},
  simple: tls({ mode: 'SIMPLE', ...roots }),
  named: tls({ mode: 'SIMPLE', ...roots, sni: 'secure.example' }),
  alternate: tls({ mode: 'SIMPLE', ...roots, sni: 'unknown.example', subjectAltNames: ['secure.example'] }),
  mismatch: tls({ mode: 'SIMPLE', ...roots, sni: 'secure.example', subjectAltNames: ['other.example'] }),
  untrusted: tls({ mode: 'SIMPLE', caCertificates: stranger.rootFile }),
  unchecked: tls({ mode: 'SIMPLE', insecureSkipVerify: true }),
  mutualfiles: tls({ mode: 'MUTUAL', ...roots, clientCertificate: client.certificateFile, privateKey: client.keyFile }),
  revoked: tls({ mode: 'SIMPLE', ...roots, caCrl: authority.revocations(server) }),
  credential: {
    ...tls({ mode: 'MUTUAL', credentialName: 'client-credential' }),
    more: { workloadSelector: { matchLabels: { app: 'client' } } },
  },
  unselected: tls({ mode: 'SIMPLE', credentialName: 'client-credential' }),
  mutual: { policy: { tls: { mode: 'ISTIO_MUTUAL' } }, pod: MESH },
  automatic: { pod: MESH },
  disabled: { policy: { tls: { mode: 'DISABLE' } }, pod: MESH },
  ported: {
    policy: {
      tls: { mode: 'SIMPLE', caCertificates: stranger.rootFile },
      connectionPool: { http: { maxRequestsPerConnection: 1 } },
      portLevelSettings: [
        { port: { number: PORT + 1 }, tls: { mode: 'DISABLE' } },
        {
          port: { number: PORT },
          tls: { mode: 'SIMPLE', ...roots },
          connectionPool: { http: { http1MaxPendingRequests: 9 } },
        },
      ],
    },
    pod: SECURE,
  },
};

const { get } = clientOf(cases, [
  secretObject(
    { name: 'client-credential' },
    { 'tls.crt': client.certificate, 'tls.key': client.key, 'ca.crt': authority.root },
  ),
  // For other workloads, and hidden in another namespace: neither counts here.
  istioObject(
    'DestinationRule',
    { name: 'plaintext-others' },
    {
      host: 'plaintext',
      workloadSelector: { matchLabels: { app: 'other' } },
      trafficPolicy: { tls: { mode: 'SIMPLE' } },
    },
  ),
  istioObject(
    'DestinationRule',
    { name: 'plaintext', namespace: 'away' },
    { host: host('plaintext'), exportTo: ['.'], trafficPolicy: { tls: { mode: 'SIMPLE' } } },
  ),
]);

test('TLS to servers outside the mesh', async () => {
  proves(
    'DestinationRule.spec.trafficPolicy.tls.mode',
    'DestinationRule.spec.trafficPolicy.tls.caCertificates',
    'DestinationRule.spec.trafficPolicy.tls.sni',
    'DestinationRule.spec.trafficPolicy.tls.subjectAltNames',
    'DestinationRule.spec.trafficPolicy.tls.insecureSkipVerify',
    'DestinationRule.spec.trafficPolicy.tls.clientCertificate',
    'DestinationRule.spec.trafficPolicy.tls.privateKey',
    'DestinationRule.spec.trafficPolicy.tls.caCrl',
    'DestinationRule.spec.trafficPolicy.tls.credentialName',
    'DestinationRule.spec.workloadSelector.matchLabels',
    'DestinationRule.spec.exportTo',
  );
  const simple = await get(host('simple'));
  assert.equal(simple.seen?.tls?.sni, host('simple'), 'the name of the request');
  assert.equal(simple.seen?.tls?.client, undefined);
  assert.equal((await get('simple')).status, 503, 'a short name is not in the certificate');
  assert.equal((await get('named')).seen?.tls?.sni, 'secure.example');
  assert.equal((await get('alternate')).seen?.tls?.sni, 'unknown.example');
  for (const name of ['mismatch', 'untrusted', 'revoked']) {
    assert.equal((await get(name)).status, 503, name);
  }
  assert.equal((await get('unchecked')).status, 200);
  assert.equal((await get(host('mutualfiles'))).seen?.tls?.client, 'client');
  assert.equal((await get(host('credential'))).seen?.tls?.client, 'client');
  assert.equal(
    (await get(host('unselected'))).status,
    503,
    'without the Secret the certificate is checked against public roots',
  );
  assert.equal((await get('plaintext')).seen?.tls, undefined);
});

test('mutual TLS of the mesh', async () => {
  proves('DestinationRule.spec.trafficPolicy.tls.mode');
  for (const name of ['mutual', 'automatic']) {
    const { seen, text } = await get(name);
    assert.equal(seen?.tls?.client, 'workload', `${name}: ${text}`);
    assert.equal(seen?.tls?.sni, `outbound_.${PORT}_._.${host(name)}`);
    assert.equal(seen?.tls?.alpn, 'istio-http/1.1');
  }
  assert.equal((await get('disabled')).seen?.tls, undefined);
});

test('settings of a port replace those of the host as a whole', async () => {
  proves(
    'DestinationRule.spec.trafficPolicy.portLevelSettings[].port.number',
    'DestinationRule.spec.trafficPolicy.portLevelSettings[].tls',
    'DestinationRule.spec.trafficPolicy.portLevelSettings[].connectionPool',
  );
  const [one, two] = [await get(host('ported')), await get(host('ported'))];
  assert.equal(one.seen?.tls?.sni, host('ported'), one.text);
  assert.equal(one.seen?.connection, two.seen?.connection, 'the limit of the host is not that of the port');
});
