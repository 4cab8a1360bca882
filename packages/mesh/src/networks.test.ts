import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { readService } from './kubernetes/facts.ts';
import type { Endpoint } from './model.ts';
import { networkGateways, throughGateways } from './networks.ts';

const gateway = (network: string, ips: readonly string[], labels = {}, port = 15443) =>
  readService({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: {
      name: 'eastwest',
      namespace: 'istio-system',
      labels: { 'topology.istio.io/network': network, ...labels },
    },
    spec: { ports: [{ name: 'tls', port }] },
    status: { loadBalancer: { ingress: ips.map((ip) => ({ ip })) } },
  });
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

describe('networks', () => {
  it('have the gateways that Services with their label are', () => {
    const found = networkGateways([
      gateway('b', ['192.0.2.2', '192.0.2.1']),
      gateway('c', ['192.0.2.3'], { 'networking.istio.io/gatewayPort': '443' }, 443),
      gateway('none', []),
      gateway('elsewhere', ['192.0.2.4'], {}, 80),
    ]);
    assert.deepEqual(Object.fromEntries(found), {
      b: [
        { address: '192.0.2.1', port: 15443 },
        { address: '192.0.2.2', port: 15443 },
      ],
      c: [{ address: '192.0.2.3', port: 443 }],
    });
  });

  it('are reached through them, with the weight of what is behind and only with mutual TLS', () => {
    const gateways = networkGateways([gateway('b', ['192.0.2.1'])]);
    const all = {
      hostname: 'h',
      namespace: 'n',
      endpoints: [
        endpoint('10.0.0.1', 'a'),
        endpoint('10.1.0.1', 'b'),
        endpoint('10.1.0.2', 'b', { weight: 3 }),
        endpoint('10.1.0.3', 'b', { tlsMode: 'disabled' }),
        endpoint('10.1.0.4', 'b', { health: 'unhealthy' }),
        endpoint('10.2.0.1', 'without-gateway'),
        endpoint('10.3.0.1', ''),
      ],
    };
    const reached = throughGateways(all, 'a', gateways).endpoints.map(
      ({ address, port, weight }) => `${address}:${port} ${weight}`,
    );
    assert.deepEqual(reached, ['10.0.0.1:8080 1', '10.2.0.1:8080 1', '10.3.0.1:8080 1', '192.0.2.1:15443 4']);
    assert.equal(throughGateways(all, '', gateways), all);
    assert.equal(throughGateways(all, 'a', new Map()), all);
  });
});
