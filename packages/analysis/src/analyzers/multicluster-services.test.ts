import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clusterObjects, messagesOf } from '../analysis.test-support.ts';
import { multiclusterServices } from './multicluster-services.ts';

const service = (spec: string, name = 'web') =>
  `apiVersion: v1\nkind: Service\nmetadata: {name: ${name}, namespace: shop}\nspec: ${spec}\n---\n`;
const compared = (a: string, b: string) =>
  messagesOf(multiclusterServices, '', {
    clusters: [
      { cluster: 'east', objects: clusterObjects(a) },
      { cluster: 'west', objects: clusterObjects(b) },
    ],
  }).map(({ code, text }) => `${code} ${text}`);

test('the same service everywhere is fine; so is one that only one cluster has', () => {
  const web = service('{clusterIP: 10.0.0.1, ports: [{port: 80, name: http}]}');
  assert.deepEqual(compared(web, web.replace('10.0.0.1', '10.1.0.1')), []);
  assert.deepEqual(compared(web, service('{}', 'other')), []);
});

test('other ports, another type, headless in one of them', () => {
  const [ports] = compared(service('{ports: [{port: 80}]}'), service('{ports: [{port: 81}]}'));
  assert.match(ports ?? '', /^IST0170 .*shop\/web.*east, west: ports differ \(east: 80\/TCP, west: 81\/TCP\)/);
  assert.match(
    compared(service('{clusterIP: None}'), service('{clusterIP: 10.0.0.1}'))[0] ?? '',
    /headless in some only/,
  );
  assert.match(compared(service('{type: NodePort}'), service('{}'))[0] ?? '', /types differ/);
});
