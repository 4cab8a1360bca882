import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mutualTlsPorts } from './endpoints.ts';
import type { Endpoint } from './model.ts';

const endpoint = (address: string, servicePort: string, tlsMode: Endpoint['tlsMode']): Endpoint => ({
  address,
  port: 80,
  servicePort,
  health: 'healthy',
  labels: {},
  locality: { region: '', zone: '', subzone: '' },
  network: '',
  clusterId: '',
  weight: 1,
  tlsMode,
  node: '',
});

test('a port takes mutual TLS where all of its endpoints do', () => {
  assert.deepEqual(mutualTlsPorts([]), []);
  assert.deepEqual(
    mutualTlsPorts([
      endpoint('10.0.0.1', 'web', 'istio'),
      endpoint('10.0.0.2', 'web', 'istio'),
      endpoint('10.0.0.1', 'mixed', 'istio'),
      endpoint('10.0.0.2', 'mixed', 'disabled'),
      endpoint('10.0.0.1', 'admin', 'istio'),
    ]),
    ['admin', 'web'],
  );
});
