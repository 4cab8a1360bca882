import assert from 'node:assert/strict';
import { test } from 'node:test';
import { istioTypes, kubernetesTypes } from '@istio-ts/api/resource-types';
import { parseSettings } from '../settings.ts';
import { watchedLists } from './watched-lists.ts';

const lists = (env: Readonly<Record<string, string>>) =>
  watchedLists(parseSettings([], { POD_NAMESPACE: 'mesh', ...env }));
const namespaces = (env: Readonly<Record<string, string>>, type = kubernetesTypes.Service) =>
  lists(env)
    .lists(type)
    .map(({ namespace }) => namespace);

test('ISTIO_WATCH_NAMESPACE: of one namespace and of the own one, and of what has no namespace', () => {
  assert.deepEqual(namespaces({}), [undefined]);
  const one = { ISTIO_WATCH_NAMESPACE: 'shop' };
  assert.deepEqual(namespaces(one), ['shop', 'mesh']);
  assert.deepEqual(namespaces(one, istioTypes.VirtualService), ['shop', 'mesh']);
  assert.deepEqual(namespaces(one, kubernetesTypes.Node), [undefined]);
  assert.deepEqual(namespaces({ ISTIO_WATCH_NAMESPACE: 'mesh' }), ['mesh']);
  assert.throws(() => lists({ ISTIO_WATCH_NAMESPACE: 'shop,edge' }), /ISTIO_WATCH_NAMESPACE: 'shop,edge' is no name/);
});

test('Secrets are of the namespaces that both settings name, and none that no proxy can have', () => {
  const secrets = (env: Readonly<Record<string, string>>) => namespaces(env, kubernetesTypes.Secret);
  assert.deepEqual(secrets({}), [undefined]);
  assert.deepEqual(secrets({ ISTIO_TS_SECRET_NAMESPACES: 'edge,shop' }), ['mesh', 'edge', 'shop']);
  assert.deepEqual(secrets({ ISTIO_TS_SECRET_NAMESPACES: 'edge,shop', ISTIO_WATCH_NAMESPACE: 'shop' }), [
    'mesh',
    'shop',
  ]);
  for (const list of lists({ ISTIO_WATCH_NAMESPACE: 'shop' }).lists(kubernetesTypes.Secret))
    assert.match(list.fieldSelector ?? '', /type!=helm/);
});

test('PILOT_IGNORE_RESOURCES: kinds of configuration, but nothing else, and exceptions of that', () => {
  const kinds = (env: Readonly<Record<string, string>>) => lists(env).resources.map(({ kind }) => kind);
  assert.ok(kinds({}).includes('WasmPlugin'));
  const without = kinds({ PILOT_IGNORE_RESOURCES: 'wasmplugins.extensions.istio.io, services.,*.k8s.io' });
  assert.ok(!without.includes('WasmPlugin') && without.includes('Service') && without.includes('EndpointSlice'));
  const only = kinds({
    PILOT_IGNORE_RESOURCES: '*.istio.io',
    PILOT_INCLUDE_RESOURCES: 'virtualservices.networking.istio.io',
  });
  assert.ok(only.includes('VirtualService') && !only.includes('Gateway') && only.includes('Pod'));
});
