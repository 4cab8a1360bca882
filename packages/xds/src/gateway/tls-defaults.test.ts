import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { ConnectionOptions } from 'node:tls';
import { decodeMeshConfig } from '@istio-ts/api';
import { proves } from '../field-proof.ts';
import { call } from '../testing/http-call.ts';
import { selfSigned, signedBy } from '../testing/certificate.ts';
import { istioObject, podObject, secretObject } from '../testing/objects.ts';
import { LoopbackNet, loopbackApp, ORIGIN_PORT, startOfflineEnvoy } from '../testing/offline-envoy.ts';
import { type Origin, startOrigin } from '../testing/origin.ts';
import { tlsGet } from '../testing/tls-client.ts';

/** TLS of the outside world where a Gateway or DestinationRule does not say it itself: `tlsDefaults` of the mesh's configuration. */

const net = new LoopbackNet();
const authority = selfSigned('authority');
const shown = signedBy(authority, 'shown.test');
const CLIENT_PORT = 9710;
const [gcm128, gcm256] = ['ECDHE-ECDSA-AES128-GCM-SHA256', 'ECDHE-ECDSA-AES256-GCM-SHA384'] as const;

const origins: Origin[] = [];
/** Servers outside the mesh, each of which takes one kind of TLS. */
const outside: Readonly<Record<string, ConnectionOptions>> = {
  any: {},
  two: { maxVersion: 'TLSv1.2' },
  three: { minVersion: 'TLSv1.3' },
  strong: { maxVersion: 'TLSv1.2', ciphers: gcm256 },
  p384: { ecdhCurve: 'P-384' },
};
const lastOf = (name: string) => 10 + Object.keys(outside).indexOf(name);

before(async () => {
  origins.push(await startOrigin('app', net.ip(2), ORIGIN_PORT));
  for (const [name, { maxVersion, minVersion, ciphers, ecdhCurve }] of Object.entries(outside))
    origins.push(
      await startOrigin(name, net.ip(lastOf(name)), ORIGIN_PORT, {
        cert: shown.certificate,
        key: shown.key,
        ...(maxVersion && { maxVersion }),
        ...(minVersion && { minVersion }),
        ...(ciphers && { ciphers }),
        ...(ecdhCurve && { ecdhCurve }),
      }),
    );
});
after(async () => {
  for (const origin of origins) await origin.close();
});

const versions = { two: { maxVersion: 'TLSv1.2' }, three: { minVersion: 'TLSv1.3' } } as const;

test('servers of gateways: the mesh’s defaults, and what a server says itself', async () => {
  proves(
    'MeshConfig.tlsDefaults.minProtocolVersion',
    'MeshConfig.tlsDefaults.cipherSuites',
    'MeshConfig.tlsDefaults.ecdhCurves',
  );
  const server = (name: string, tls: object) => ({
    port: { number: 8443, name: `https-${name}`, protocol: 'HTTPS' },
    hosts: [`${name}.test`],
    tls: { mode: 'SIMPLE', credentialName: 'shown', ...tls },
  });
  const tries = async (tlsDefaults: object, offers: readonly (readonly [string, ConnectionOptions])[]) => {
    const envoy = await startOfflineEnvoy({
      net,
      proxy: { type: 'router', name: 'gw-0', namespace: 'edge', ipAddress: net.everywhere },
      meshConfig: decodeMeshConfig({ tlsDefaults }).value,
      objects: [
        podObject({ name: 'gw-0', namespace: 'edge', labels: { team: 'edge' }, ip: net.everywhere }),
        ...loopbackApp(net, 'app', { last: 3, port: 80, protocol: 'http' }, [{ last: 2 }]),
        secretObject({ name: 'shown', namespace: 'edge' }, { 'tls.crt': shown.certificate, 'tls.key': shown.key }),
        istioObject(
          'Gateway',
          { name: 'edge' },
          {
            selector: { team: 'edge' },
            servers: [
              server('usual', {}),
              server('older', { minProtocolVersion: 'TLSV1_2' }),
              server('other', { cipherSuites: [gcm256] }),
            ],
          },
        ),
        istioObject(
          'VirtualService',
          { name: 'app' },
          { hosts: ['*'], gateways: ['edge'], http: [{ route: [{ destination: { host: 'app' } }] }] },
        ),
      ],
    });
    try {
      const results: (string | null)[] = [];
      for (const [name, offer] of offers)
        results.push(
          await tlsGet(net.everywhere, 8443, { servername: `${name}.test`, ...offer }).then(
            ({ protocol }) => protocol,
            () => 'refused',
          ),
        );
      return results;
    } finally {
      await envoy.stop();
    }
  };
  assert.deepEqual(
    await tries({ minProtocolVersion: 'TLSV1_3' }, [
      ['usual', versions.two],
      ['usual', versions.three],
      ['older', versions.two],
    ]),
    ['refused', 'TLSv1.3', 'TLSv1.2'],
  );
  assert.deepEqual(
    await tries({ cipherSuites: [gcm128], ecdhCurves: ['P-384', 'P-256'] }, [
      ['usual', { ...versions.two, ciphers: gcm128 }],
      ['usual', { ...versions.two, ciphers: gcm256 }],
      ['other', { ...versions.two, ciphers: gcm256 }],
      ['usual', { ecdhCurve: 'P-521' }],
      ['usual', { ecdhCurve: 'P-384' }],
    ]),
    ['TLSv1.2', 'refused', 'TLSv1.2', 'refused', 'TLSv1.3'],
  );
});

test('TLS that proxies open to servers outside the mesh', async () => {
  proves(
    'MeshConfig.tlsDefaults.minProtocolVersion',
    'MeshConfig.tlsDefaults.cipherSuites',
    'MeshConfig.tlsDefaults.ecdhCurves',
  );
  const statuses = async (tlsDefaults: object | undefined) => {
    const envoy = await startOfflineEnvoy({
      net,
      proxy: { name: 'client', namespace: 'default' },
      meshConfig: decodeMeshConfig(tlsDefaults ? { tlsDefaults } : {}).value,
      objects: Object.keys(outside).flatMap((name) => [
        istioObject(
          'ServiceEntry',
          { name },
          {
            hosts: [`${name}.test`],
            location: 'MESH_EXTERNAL',
            ports: [{ number: CLIENT_PORT, name: 'http', protocol: 'HTTP', targetPort: ORIGIN_PORT }],
            resolution: 'STATIC',
            endpoints: [{ address: net.ip(lastOf(name)) }],
          },
        ),
        istioObject(
          'DestinationRule',
          { name },
          { host: `${name}.test`, trafficPolicy: { tls: { mode: 'SIMPLE', insecureSkipVerify: true } } },
        ),
      ]),
    });
    try {
      const found: Record<string, number> = {};
      for (const name of Object.keys(outside))
        found[name] = (await call('/', { address: net.everywhere, port: CLIENT_PORT, host: `${name}.test` })).status;
      return found;
    } finally {
      await envoy.stop();
    }
  };
  const all = { any: 200, two: 200, three: 200, strong: 200, p384: 200 };
  assert.deepEqual(await statuses({ ecdhCurves: ['P-256', 'P-384'] }), all);
  assert.deepEqual(await statuses({ minProtocolVersion: 'TLSV1_3', ecdhCurves: ['P-256', 'P-384'] }), {
    ...all,
    two: 503,
    strong: 503,
  });
  assert.deepEqual(await statuses({ cipherSuites: [gcm128], ecdhCurves: ['P-256'] }), {
    ...all,
    strong: 503,
    p384: 503,
  });
});
