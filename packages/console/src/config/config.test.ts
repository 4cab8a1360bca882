import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KubeObject } from '@istio-ts/kube';
import { config, deployment, meshed, service, viewsOf } from '../mesh/objects.test-support.ts';
import { configKinds, type MeshState } from '../sources/mesh-reader.ts';
import { References } from './references.ts';
import { editableYaml, readText, statusYaml, storable } from './text.ts';

const stateOf = (objects: readonly KubeObject[]): Pick<MeshState, 'mesh' | 'config' | 'objects'> => ({
  ...viewsOf(objects),
  objects: Object.fromEntries(
    configKinds.map((kind) => [kind, objects.filter((object) => object.kind === kind)]),
  ) as unknown as MeshState['objects'],
});

const shop = [
  meshed('shop'),
  ...deployment('shop', 'reviews', 'v1'),
  ...deployment('istio-system', 'ingress', undefined, {
    args: ['proxy', 'router'],
    labels: { istio: 'ingressgateway' },
  }),
  service('shop', 'reviews'),
  config('VirtualService', 'shop', 'reviews', {
    hosts: ['reviews'],
    gateways: ['edge', 'mesh'],
    http: [{ route: [{ destination: { host: 'reviews', subset: 'v1' } }] }],
  }),
  config('DestinationRule', 'shop', 'reviews', { host: 'reviews.shop.svc.cluster.local', subsets: [{ name: 'v1' }] }),
  config('Gateway', 'shop', 'edge', {
    selector: { istio: 'ingressgateway' },
    servers: [{ tls: { mode: 'SIMPLE', credentialName: 'edge-cert' } }],
  }),
  config(
    'AuthorizationPolicy',
    'shop',
    'reviews-only',
    { selector: { matchLabels: { app: 'reviews' } } },
    'security.istio.io/v1',
  ),
  config('PeerAuthentication', 'istio-system', 'default', { mtls: { mode: 'STRICT' } }, 'security.istio.io/v1'),
];

const short = (names: readonly { readonly kind: string; readonly namespace: string; readonly name: string }[]) =>
  names.map(({ kind, namespace, name }) => `${kind} ${namespace}/${name}`);

test('who names whom', () => {
  const references = new References(stateOf(shop), 'istio-system');
  assert.deepEqual(short(references.named({ kind: 'VirtualService', namespace: 'shop', name: 'reviews' })), [
    'Gateway shop/edge',
    'Service shop/reviews',
  ]);
  assert.deepEqual(short(references.named({ kind: 'Gateway', namespace: 'shop', name: 'edge' })), [
    'Deployment istio-system/ingress',
    'Secret istio-system/edge-cert',
  ]);
  assert.deepEqual(short(references.naming({ kind: 'Service', namespace: 'shop', name: 'reviews' })), [
    'DestinationRule shop/reviews',
    'VirtualService shop/reviews',
  ]);
  assert.deepEqual(short(references.naming({ kind: 'Deployment', namespace: 'shop', name: 'reviews-v1' })), [
    'AuthorizationPolicy shop/reviews-only',
  ]);
  // A policy for everything is about nothing in particular.
  assert.deepEqual(references.named({ kind: 'PeerAuthentication', namespace: 'istio-system', name: 'default' }), []);
  assert.deepEqual(short(references.around({ kind: 'VirtualService', namespace: 'shop', name: 'reviews' })), [
    'DestinationRule shop/reviews',
    'Gateway shop/edge',
    'Service shop/reviews',
  ]);
});

test('routes of the Gateway API name their parents and backends', () => {
  const references = new References(
    stateOf([
      meshed('shop'),
      service('shop', 'reviews'),
      config(
        'HTTPRoute',
        'shop',
        'r',
        {
          parentRefs: [
            { name: 'gw', namespace: 'infra' },
            { kind: 'Service', name: 'reviews' },
          ],
          rules: [{ backendRefs: [{ name: 'reviews-v1', port: 80 }] }],
        },
        'gateway.networking.k8s.io/v1',
      ),
    ]),
    'istio-system',
  );
  assert.deepEqual(short(references.named({ kind: 'HTTPRoute', namespace: 'shop', name: 'r' })), [
    'KubernetesGateway infra/gw',
    'Service shop/reviews',
    'Service shop/reviews-v1',
  ]);
});

test('what is edited leaves out what the API server keeps, and storing puts it back', () => {
  const stored: KubeObject = {
    apiVersion: 'networking.istio.io/v1',
    kind: 'VirtualService',
    metadata: {
      name: 'a',
      namespace: 'b',
      uid: 'u',
      resourceVersion: '7',
      generation: 2,
      creationTimestamp: '2026-01-01T00:00:00Z',
      managedFields: [{}],
      finalizers: ['keep.example.com/it'],
      annotations: { 'kubectl.kubernetes.io/last-applied-configuration': '{}', mine: 'yes' },
    },
    spec: { hosts: ['x'] },
    status: { conditions: [{ type: 'Reconciled', status: 'True' }] },
  };
  const yaml = editableYaml(stored);
  assert.doesNotMatch(yaml, /uid|resourceVersion|generation|managedFields|creationTimestamp|last-applied|status/);
  assert.match(statusYaml(stored) ?? '', /Reconciled/);
  const read = readText(yaml);
  assert.ok('file' in read);
  const { metadata } = storable(read.file.object, stored);
  assert.deepEqual(metadata.annotations, { 'kubectl.kubernetes.io/last-applied-configuration': '{}', mine: 'yes' });
  assert.deepEqual(metadata.finalizers, ['keep.example.com/it']);
  assert.equal(metadata.uid, 'u');
});

test('texts that are no object say where and why', () => {
  const said = (yaml: string): string => {
    const read = readText(yaml);
    return 'messages' in read
      ? read.messages.map(({ line, column, message }) => `${line ?? ''}:${column ?? ''} ${message}`).join('\n')
      : 'fine';
  };
  assert.match(said('a:\n  b: 1\n   c: 2\n'), /^3:\d+ /);
  assert.match(said(''), /no object/);
  assert.match(said('apiVersion: v1\nkind: Secret\nmetadata: {name: a}\n'), /^2: Secret of v1 is no configuration/);
  assert.match(said('apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {}\n'), /name is missing/);
  const one = 'apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: a}\n';
  assert.equal(said(one), 'fine');
  assert.match(said(`${one}---\n${one}`), /^5: This is more than one object/);
  assert.match(said('[1, 2]'), /mapping/);
});
