import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { Container, Pod } from '../controllers/kinds.ts';
import { boundingSet } from './container-script.ts';
import { ConfigError, containerEnvironment, expand } from './environment.ts';
import { divideQuantity, parseQuantity } from './quantity.ts';

const container: Container = {
  name: 'app',
  resources: { limits: { cpu: '100m', memory: '64Mi' } },
  env: [
    { name: 'HOST', value: 'shop' },
    { name: 'URL', value: 'http://$(HOST):80/$(MISSING)/$$(HOST)' },
    { name: 'IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } },
    { name: 'CPU', valueFrom: { resourceFieldRef: { resource: 'limits.cpu', divisor: '1m' } } },
    { name: 'GOMEMLIMIT', valueFrom: { resourceFieldRef: { resource: 'limits.memory' } } },
    { name: 'MAYBE', valueFrom: { configMapKeyRef: { name: 'none', key: 'k', optional: true } } },
  ],
};
const pod: Pod = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'p', namespace: 'n', uid: 'u' },
  spec: { containers: [container] },
};
const facts = { podIP: '10.244.0.9', hostIP: '10.244.0.1', nodeName: 'node', allocatable: {} };
const nothing = { configMap: () => undefined, secret: () => undefined };

it('resolves values, references and fields', () => {
  assert.deepEqual(containerEnvironment(pod, container, [], nothing, facts), {
    HOST: 'shop',
    URL: 'http://shop:80/$(MISSING)/$(HOST)',
    IP: '10.244.0.9',
    CPU: '100',
    GOMEMLIMIT: String(64 * 2 ** 20),
  });
});

it('says which ConfigMap or Secret is missing', () => {
  const wanting: Container = {
    name: 'app',
    env: [{ name: 'A', valueFrom: { secretKeyRef: { name: 'keys', key: 'a' } } }],
  };
  assert.throws(
    () => containerEnvironment(pod, wanting, [], nothing, facts),
    (error: Error) => error instanceof ConfigError && /secret "keys" not found/.test(error.message),
  );
});

it('leaves an open reference as it is', () => {
  assert.equal(expand('a$(B', {}), 'a$(B');
  assert.equal(expand('50$', {}), '50$');
});

it('reads quantities', () => {
  assert.equal(parseQuantity('64Mi'), 67_108_864);
  assert.equal(parseQuantity('1e3'), 1000);
  assert.equal(divideQuantity('1', '1m'), 1000);
  assert.equal(divideQuantity('1500m', '1'), 2);
  assert(Number.isNaN(parseQuantity('many')));
});

it('adds and drops capabilities', () => {
  assert.deepEqual(boundingSet(['NET_ADMIN', 'NET_RAW'], ['ALL'], false), ['net_admin', 'net_raw']);
  assert(!boundingSet([], ['CHOWN'], false)?.includes('chown'));
  assert.equal(boundingSet([], [], true), undefined);
});
