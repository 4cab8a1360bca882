import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Endpoint } from './model.ts';
import { throughGateways } from './split-horizon.ts';

const endpoint = (address: string, network: string, more: Partial<Endpoint> = {}): Endpoint => ({
  address,
  port: 8080,
  servicePort: 'http',
  health: 'healthy',
  labels: {},
  locality: { region: '', zone: '', subzone: '' },
  network,
  clusterId: 'c',
  weight: 1,
  tlsMode: 'istio',
  node: '',
  ...more,
});
const service = (endpoints: readonly Endpoint[]) => ({ hostname: 'h', namespace: 'n', endpoints });
const gateway = (address: string) => ({ address, port: 15443 });
const shown = (endpoints: readonly Endpoint[]) =>
  endpoints.map(({ address, port, weight }) => `${address}:${port} ${weight}`);

describe('endpoints of other networks', () => {
  it('are reached through their gateways, with the weight of what is behind and only with mutual TLS', () => {
    const gateways = new Map([['b', [gateway('192.0.2.1')]]]);
    const all = service([
      endpoint('10.0.0.1', 'a'),
      endpoint('10.1.0.1', 'b'),
      endpoint('10.1.0.2', 'b', { weight: 3 }),
      endpoint('10.1.0.3', 'b', { tlsMode: 'disabled' }),
      endpoint('10.1.0.4', 'b', { health: 'unhealthy' }),
      endpoint('10.2.0.1', 'without-gateway'),
      endpoint('10.3.0.1', ''),
    ]);
    assert.deepEqual(shown(throughGateways(all, 'a', gateways).endpoints), [
      '10.0.0.1:8080 1',
      '10.2.0.1:8080 1',
      '10.3.0.1:8080 1',
      '192.0.2.1:15443 4',
    ]);
    assert.equal(throughGateways(all, '', gateways), all);
    assert.equal(throughGateways(all, 'a', new Map()), all);
  });

  it('get no more traffic because several gateways lead to them', () => {
    const gateways = new Map([
      ['b', [gateway('192.0.2.1'), gateway('192.0.2.2')]],
      ['c', [gateway('192.0.3.1'), gateway('192.0.3.2'), gateway('192.0.3.3')]],
    ]);
    const all = service([endpoint('10.0.0.1', 'a'), endpoint('10.1.0.1', 'b'), endpoint('10.2.0.1', 'c')]);
    assert.deepEqual(shown(throughGateways(all, 'a', gateways).endpoints), [
      '10.0.0.1:8080 6',
      '192.0.2.1:15443 3',
      '192.0.2.2:15443 3',
      '192.0.3.1:15443 2',
      '192.0.3.2:15443 2',
      '192.0.3.3:15443 2',
    ]);
  });
});
