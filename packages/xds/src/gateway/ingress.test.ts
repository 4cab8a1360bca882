import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { after, before, test } from 'node:test';
import { defaultMeshConfig, type MeshConfig } from '@istio-ts/api';
import type { KubeObject } from '@istio-ts/kube/object';
import { generateOffline, type OfflineProxy, typeUrls } from '../engine/index.ts';
import { proves, provesAnnotations } from '../field-proof.ts';
import { selfSigned } from '../testing/certificate.ts';
import { httpGet } from '../testing/http-client.ts';
import { istioObject, podObject, secretObject, serviceObject } from '../testing/objects.ts';
import {
  LoopbackNet,
  loopbackApp,
  type OfflineEnvoy,
  ORIGIN_PORT,
  startOfflineEnvoy,
} from '../testing/offline-envoy.ts';
import { type Arrival, type Origin, startOrigin } from '../testing/origin.ts';
import { tlsGet } from '../testing/tls-client.ts';

/** Kubernetes Ingresses at a gateway. */

provesAnnotations('kubernetes.io/ingress.class');

proves('MeshConfig.ingressClass', 'MeshConfig.ingressControllerMode', 'MeshConfig.ingressSelector');

const net = new LoopbackNet();
const pair = selfSigned('secure.test', { extension: 'subjectAltName=DNS:secure.test' });

const backend = (name: string, port: number | string = 80) => ({
  service: { name, port: typeof port === 'number' ? { number: port } : { name: port } },
});
const path = (text: string, pathType: string, name: string, port?: number | string) => ({
  path: text,
  pathType,
  backend: backend(name, port),
});
const ingress = (
  name: string,
  spec: Readonly<Record<string, unknown>>,
  more: { readonly annotation?: string; readonly namespace?: string; readonly created?: string } = {},
): KubeObject => ({
  apiVersion: 'networking.k8s.io/v1',
  kind: 'Ingress',
  metadata: {
    name,
    namespace: more.namespace ?? 'default',
    creationTimestamp: more.created ?? '2026-01-01T00:00:00Z',
    ...(more.annotation !== undefined && { annotations: { 'kubernetes.io/ingress.class': more.annotation } }),
  },
  spec,
});
const rule = (host: string | undefined, ...paths: readonly object[]) => ({ ...(host && { host }), http: { paths } });
const one = (host: string, name = 'one') => ({ rules: [rule(host, path('/', 'Prefix', name))] });
const ingressClass = (name: string, controller: string): KubeObject => ({
  apiVersion: 'networking.k8s.io/v1',
  kind: 'IngressClass',
  metadata: { name },
  spec: { controller },
});

const objects = [
  podObject({ name: 'gw-0', namespace: 'istio-system', labels: { istio: 'ingressgateway' }, ip: net.everywhere }),
  serviceObject(
    { name: 'istio-ingressgateway', namespace: 'istio-system' },
    [
      { name: 'http2', port: 80, targetPort: 8080 },
      { name: 'https', port: 443, targetPort: 8443 },
    ],
    { selector: { istio: 'ingressgateway' } },
  ),
  ...loopbackApp(net, 'one', { last: 3, port: 80, protocol: 'http' }, [{ last: 2 }]),
  ...loopbackApp(net, 'two', { last: 5, port: 8000, protocol: 'http' }, [{ last: 4 }]),
  ...loopbackApp(net, 'two', { last: 6, port: 80, protocol: 'http', namespace: 'other' }, [{ last: 4 }]),
  secretObject({ name: 'secure', namespace: 'istio-system' }, { 'tls.crt': pair.certificate, 'tls.key': pair.key }),
  ingressClass('mesh', 'istio.io/ingress-controller'),
  ingressClass('nginx', 'k8s.io/ingress-nginx'),
  ingress('paths', {
    ingressClassName: 'mesh',
    rules: [
      rule(
        'paths.test',
        path('/', 'Prefix', 'one'),
        path('/shop', 'Prefix', 'two', 'http'),
        path('/shop/cart/', 'Prefix', 'one'),
        path('/shop/exact', 'Exact', 'one'),
        path('/glob/*', 'ImplementationSpecific', 'two', 8000),
        path('/a.b.*', 'ImplementationSpecific', 'two', 8000),
        path('/only', 'ImplementationSpecific', 'two', 8000),
      ),
    ],
  }),
  ingress(
    'more-paths',
    { ingressClassName: 'mesh', rules: [rule('paths.test', path('/more', 'Prefix', 'two'))] },
    { namespace: 'other', created: '2026-02-01T00:00:00Z' },
  ),
  ingress(
    'rest',
    { defaultBackend: backend('two', 8000), rules: [rule('rest.test', path('/one', 'Prefix', 'one'))] },
    { annotation: 'istio' },
  ),
  ingress('secure', {
    ...one('secure.test'),
    ingressClassName: 'mesh',
    tls: [{ hosts: ['secure.test'], secretName: 'secure' }],
  }),
  ingress('wild', { ...one('*.wild.test'), ingressClassName: 'mesh' }),
  ingress('unclassed', one('unclassed.test')),
  ingress('foreign', { ...one('foreign.test'), ingressClassName: 'nginx' }),
  ingress('foreign-annotation', { ...one('annotated.test'), ingressClassName: 'mesh' }, { annotation: 'nginx' }),
  ingress('broken', {
    ingressClassName: 'mesh',
    rules: [rule('broken.test', path('/', 'Prefix', 'one', 'no-such-port'))],
  }),
  istioObject(
    'Gateway',
    { name: 'paths' },
    {
      selector: { istio: 'ingressgateway' },
      servers: [{ port: { number: 80, name: 'http', protocol: 'HTTP' }, hosts: ['gateway.test'] }],
    },
  ),
  istioObject(
    'VirtualService',
    { name: 'paths' },
    {
      hosts: ['gateway.test', 'unbound.test'],
      gateways: ['paths'],
      http: [{ route: [{ destination: { host: 'one' } }] }],
    },
  ),
];

const proxy = { type: 'router', name: 'gw-0', namespace: 'istio-system', ipAddress: net.everywhere } as const;
const origins: Origin[] = [];
let envoy: OfflineEnvoy;

before(async () => {
  origins.push(await startOrigin('one', net.ip(2), ORIGIN_PORT), await startOrigin('two', net.ip(4), ORIGIN_PORT));
  envoy = await startOfflineEnvoy({ net, proxy, objects });
});
after(async () => {
  await envoy?.stop();
  for (const origin of origins) await origin.close();
});

const answer = async (host: string, path_ = '/'): Promise<string | number> => {
  const { status, body } = await httpGet({ address: net.everywhere, port: 8080, host, path: path_ });
  return status === 200 ? (JSON.parse(body) as Arrival).origin : status;
};

test('exact paths, then the longest prefix of whole segments', async () => {
  const expected: Readonly<Record<string, string>> = {
    '/': 'one',
    '/shop': 'two',
    '/shop/': 'two',
    '/shop/x': 'two',
    '/shopping': 'one',
    '/shop/cart': 'one',
    '/shop/cart/1': 'one',
    '/shop/exact': 'one',
    '/shop/exact/not': 'two',
    '/glob/x/y': 'two',
    '/glob': 'one',
    '/a.bc': 'two',
    '/axb': 'one',
    '/only': 'two',
    '/only/x': 'one',
    '/more/of/it': 'two',
  };
  for (const [text, name] of Object.entries(expected)) assert.equal(await answer('paths.test', text), name, text);
});

test('the default backend takes what no rule takes', async () => {
  assert.equal(await answer('rest.test', '/one'), 'one');
  assert.equal(await answer('rest.test', '/x'), 'two');
  assert.equal(await answer('unknown.test'), 'two');
});

test('wildcard hosts', async () => {
  assert.equal(await answer('a.wild.test'), 'one');
});

test('TLS with the Secret in the namespace of the gateway', async () => {
  const reply = await tlsGet(net.everywhere, 8443, { servername: 'secure.test' });
  assert.deepEqual([reply.status, reply.fingerprint], [200, new X509Certificate(pair.certificate).fingerprint256]);
  assert.equal(await answer('secure.test'), 'one');
  await assert.rejects(tlsGet(net.everywhere, 8443, { servername: 'paths.test' }));
});

test('Gateways of the same port and name stay apart', async () => {
  assert.equal(await answer('gateway.test'), 'one');
  assert.equal(await answer('unbound.test'), 'two');
});

test('whose Ingresses they are: annotation, class and mode', () => {
  const hosts = (config: Partial<MeshConfig>, pod: Partial<OfflineProxy> = {}) => {
    const { resources } = generateOffline(
      objects,
      { ...proxy, ...pod },
      { meshConfig: { ...defaultMeshConfig(), ...config } },
    );
    const text = JSON.stringify((resources.get(typeUrls.route) ?? []).map((r) => r.json()));
    return ['paths.test', 'rest.test', 'unclassed.test', 'foreign.test', 'annotated.test', 'broken.test'].filter(
      (host) => text.includes(`"${host}"`),
    );
  };
  assert.deepEqual(hosts({}), ['paths.test', 'rest.test']);
  assert.deepEqual(hosts({ ingressControllerMode: 'DEFAULT' }), ['paths.test', 'rest.test', 'unclassed.test']);
  assert.deepEqual(hosts({ ingressControllerMode: 'OFF' }), []);
  assert.deepEqual(hosts({ ingressClass: 'nginx' }), ['paths.test', 'annotated.test']);
  assert.deepEqual(hosts({ ingressSelector: 'elsewhere' }), []);
  assert.deepEqual(
    hosts({ ingressSelector: 'elsewhere' }, { name: 'gw-1', ipAddress: '10.9.9.9', labels: { istio: 'elsewhere' } }),
    ['paths.test', 'rest.test'],
  );
});
