import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defaultMeshConfig } from '@istio-ts/api';
import { createMesh, MeshSources } from '@istio-ts/mesh';
import { application, istioObject } from '../testing/objects.ts';
import { createEngine, typeUrls } from './index.ts';

const URI = 'https://idp.test/keys';
const keys = (kid: string): { readonly keys: string } => ({ keys: JSON.stringify({ keys: [{ kty: 'EC', kid }] }) });

test('new keys are news for the proxies that check tokens with them, and for no others', () => {
  const sources = new MeshSources({ meshConfig: defaultMeshConfig() });
  const mesh = createMesh(sources);
  sources.batch(() => {
    for (const name of ['web', 'cart', 'plain'])
      for (const object of application(name, { name: 'http', port: 80 }, [{}], { base: name.length }))
        sources.set(object);
    for (const [name, uri] of [
      ['web', URI],
      ['cart', 'https://idp.test/others'],
    ])
      sources.set(
        istioObject(
          'RequestAuthentication',
          { name: name ?? '' },
          { selector: { matchLabels: { app: name } }, jwtRules: [{ issuer: 'i', jwksUri: uri }] },
        ),
      );
    sources.fetchedKeys.set(URI, keys('one'));
  });
  const engine = createEngine(mesh, { schedule: () => {} });
  const news: string[] = [];
  const views = ['web', 'cart', 'plain'].map((name) => {
    const pod = `${name}-0`;
    const view = engine.connect({
      id: `sidecar~10.0.0.1~${pod}.default~default.svc.cluster.local`,
      cluster: name,
      type: 'sidecar',
      ipAddress: '10.0.0.1',
      podName: pod,
      namespace: 'default',
      dnsDomain: 'default.svc.cluster.local',
      locality: { region: '', zone: '', subzone: '' },
      metadata: { LABELS: { app: name } },
      envoyVersion: undefined,
      identity: 'spiffe://cluster.local/ns/default/sa/default',
    });
    view.onChange((types) => news.push(...[...types].map((type) => `${name} ${type}`)));
    for (const type of Object.values(typeUrls)) view.resources(type);
    return view;
  });
  const inbound = (): string =>
    JSON.stringify(views[0]?.resources(typeUrls.listener).get('virtualInbound')?.json()).replaceAll('\\', '');
  assert.match(inbound(), /"kid":"one"/);
  sources.fetchedKeys.set(URI, keys('two'));
  engine.flush();
  assert.deepEqual(news, [`web ${typeUrls.listener}`]);
  assert.match(inbound(), /"kid":"two"/);
  // What went wrong with a fetch changes nothing for proxies.
  sources.fetchedKeys.set(URI, { ...keys('two'), problem: 'down' });
  engine.flush();
  assert.equal(news.length, 1);
  for (const view of views) view.close();
  engine.close();
});
