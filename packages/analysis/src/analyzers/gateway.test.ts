import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { findings } from '../analysis.test-support.ts';
import { gatewayCertificate } from './gateway-certificate.ts';
import { gatewayConflict } from './gateway-conflict.ts';
import { gatewayPort } from './gateway-port.ts';
import { gatewaySecret } from './gateway-secret.ts';
import { gatewaySelector } from './gateway-selector.ts';
import { kubernetesGatewaySelector } from './kubernetes-gateway-selector.ts';

const gateway = (name: string, servers: string, selector = 'istio: ingressgateway') => `
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: ${name}, namespace: shop}
spec: {selector: {${selector}}, servers: [${servers}]}`;
const server = (port: number, hosts: string, tls = '') =>
  `{port: {number: ${port}, name: p${port}, protocol: ${tls === '' ? 'HTTP' : 'HTTPS'}}, hosts: [${hosts}]${tls === '' ? '' : `, tls: {${tls}}`}}`;

test('pods and ports of gateways; the default ingress gateway is assumed where there is no cluster', () => {
  const run = (port: number, selector?: string, extra = '') =>
    findings(gatewayPort, gateway('gw', server(port, '"*"'), selector) + extra);
  assert.deepEqual(run(80), []);
  assert.deepEqual(run(8080), []);
  assert.deepEqual(run(9000), ['IST0162 Gateway shop/gw spec.servers[0].port.number']);
  assert.deepEqual(run(80, 'app: nobody'), []);
  assert.deepEqual(findings(gatewaySelector, gateway('gw', server(80, '"*"'), 'app: nobody')), [
    'IST0101 Gateway shop/gw spec.selector',
  ]);
  assert.deepEqual(findings(gatewaySelector, gateway('gw', server(80, '"*"'))), []);
  const own = `
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: edge, namespace: edge}
spec:
  template:
    metadata: {labels: {app: edge}}
    spec: {containers: [{name: istio-proxy, ports: [{name: web, containerPort: 9443}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: edge, namespace: edge}
spec: {selector: {app: edge}, ports: [{name: https, port: 443, targetPort: web}]}`;
  assert.deepEqual(run(443, 'app: edge', own), []);
  assert.deepEqual(run(9443, 'app: edge', own), []);
  assert.deepEqual(run(80, 'app: edge', own), ['IST0162 Gateway shop/gw spec.servers[0].port.number']);
  assert.deepEqual(
    findings(gatewaySelector, gateway('gw', server(80, '"*"')), { clusters: [{ cluster: 'c', objects: [] }] }),
    ['IST0101 Gateway shop/gw spec.selector'],
  );
});

test('secrets of gateways', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'analysis-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const make = (name: string) => {
    const key = join(folder, `${name}.key`);
    const crt = join(folder, `${name}.crt`);
    execFileSync(
      'openssl',
      [
        'req',
        '-x509',
        '-newkey',
        'ec',
        '-pkeyopt',
        'ec_paramgen_curve:prime256v1',
        '-nodes',
        '-days',
        '2',
        '-subj',
        `/CN=${name}`,
        '-keyout',
        key,
        '-out',
        crt,
      ],
      { stdio: 'ignore' },
    );
    return { key: readFileSync(key).toString('base64'), crt: readFileSync(crt).toString('base64') };
  };
  const [one, two] = [make('one'), make('two')];
  const secret = (data: string, name = 'cred', namespace = 'istio-system') => `
---
apiVersion: v1
kind: Secret
metadata: {name: ${name}, namespace: ${namespace}}
data: {${data}}`;
  const gw = (tls = 'mode: SIMPLE, credentialName: cred') => gateway('gw', server(443, '"*"', tls));
  const at = 'Gateway shop/gw spec.servers[0].tls.credentialName';
  const pair = `tls.crt: ${one.crt}, tls.key: ${one.key}`;
  assert.deepEqual(findings(gatewaySecret, gw() + secret(pair)), []);
  assert.deepEqual(findings(gatewaySecret, gw() + secret(`cert: ${one.crt}, key: ${one.key}`)), []);
  assert.deepEqual(findings(gatewaySecret, gw()), [`IST0101 ${at}`]);
  // It must be where the gateway's pods are, not where the Gateway is.
  assert.deepEqual(findings(gatewaySecret, gw() + secret(pair, 'cred', 'shop')), [`IST0101 ${at}`]);
  assert.deepEqual(findings(gatewaySecret, gw() + secret(`tls.crt: ${one.crt}`)), [`IST0161 ${at}`]);
  assert.deepEqual(findings(gatewaySecret, gw() + secret(`tls.crt: ${one.crt}, tls.key: ${two.key}`)), [
    `IST0161 ${at}`,
  ]);
  const later = { now: Date.now() + 5 * 24 * 3600 * 1000 };
  assert.deepEqual(findings(gatewaySecret, gw() + secret(pair), later), [`IST0161 ${at}`]);
  const mutual = gw('mode: MUTUAL, credentialName: cred');
  assert.deepEqual(findings(gatewaySecret, mutual + secret(pair)), [`IST0101 ${at}`]);
  assert.deepEqual(findings(gatewaySecret, mutual + secret(`${pair}, ca.crt: ${two.crt}`)), []);
  assert.deepEqual(findings(gatewaySecret, mutual + secret(pair) + secret(`cacert: ${two.crt}`, 'cred-cacert')), []);
  const forbidden = {
    clusters: [
      { cluster: 'c', objects: [], forbidden: [{ kind: 'Secret' as const, resource: 'secrets', error: 'no' }] },
    ],
  };
  assert.deepEqual(findings(gatewaySecret, gw(), forbidden), ['IST0141']);
});

test('the same certificate on several gateways', () => {
  const tls = (name: string) => server(443, '"*"', `mode: SIMPLE, credentialName: ${name}`);
  const both = ['a', 'b'].map((name) => `IST0138 Gateway shop/${name} spec.servers[0].tls.credentialName`);
  assert.deepEqual(findings(gatewayCertificate, gateway('a', tls('x')) + gateway('b', tls('x'))), both);
  assert.deepEqual(
    findings(gatewayCertificate, gateway('a', tls('x')) + gateway('b', tls('x'), 'app: istio-ingressgateway')),
    both,
  );
  assert.deepEqual(findings(gatewayCertificate, gateway('a', tls('x')) + gateway('b', tls('y'))), []);
  assert.deepEqual(findings(gatewayCertificate, gateway('a', tls('x')) + gateway('b', tls('x'), 'app: other')), []);
});

test('gateways that claim the same hosts', () => {
  const run = (a: string, b: string, selector?: string) =>
    findings(gatewayConflict, gateway('a', a) + gateway('b', b, selector));
  const both = ['a', 'b'].map((name) => `IST0145 Gateway shop/${name} spec.servers[0]`);
  assert.deepEqual(run(server(80, 'x.example'), server(80, 'x.example')), both);
  assert.deepEqual(run(server(80, '"*"'), server(80, 'shop/*')), both);
  assert.deepEqual(run(server(80, 'x.example'), server(80, 'x.example'), 'app: istio-ingressgateway'), both);
  assert.deepEqual(run(server(80, 'x.example'), server(80, '"*.example"')), []);
  assert.deepEqual(run(server(80, 'x.example'), server(81, 'x.example')), []);
  assert.deepEqual(run(server(80, 'x.example'), server(80, 'x.example'), 'app: other'), []);
  assert.deepEqual(run(server(80, 'n1/x.example'), server(80, 'n2/x.example')), []);
});

test('selectors of policies on pods of the Gateway API', () => {
  const pod = `
apiVersion: v1
kind: Pod
metadata: {name: gw-1, namespace: shop, labels: {gateway.networking.k8s.io/gateway-name: gw, app: edge}}
spec: {containers: []}`;
  const policy = (spec: string) => `
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: allow, namespace: shop}
spec: ${spec}`;
  assert.deepEqual(findings(kubernetesGatewaySelector, pod + policy('{selector: {matchLabels: {app: edge}}}')), [
    'IST0166 AuthorizationPolicy shop/allow spec.selector',
  ]);
  assert.deepEqual(findings(kubernetesGatewaySelector, pod + policy('{selector: {matchLabels: {app: other}}}')), []);
  assert.deepEqual(findings(kubernetesGatewaySelector, pod + policy('{}')), []);
});
