import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { decodeMeshNetworks } from '@istio-ts/api';
import { readNode, readService } from './kubernetes/facts.ts';
import { type GatewaySources, gatewayNames, networkGateways, networkLookup, networkProblems } from './networks.ts';

const gateway = (network: string, ips: readonly string[], labels = {}, port = 15443, names: readonly string[] = []) =>
  readService({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: {
      name: 'eastwest',
      namespace: 'istio-system',
      labels: { 'topology.istio.io/network': network, ...labels },
    },
    spec: { ports: [{ name: 'tls', port }] },
    status: { loadBalancer: { ingress: [...ips.map((ip) => ({ ip })), ...names.map((hostname) => ({ hostname }))] } },
  });

const sources = (more: Partial<GatewaySources>): GatewaySources => ({
  labelled: [],
  networks: { networks: {} },
  serviceOf: () => undefined,
  resolved: () => [],
  nodes: () => [],
  ...more,
});
const networks = (value: object) => decodeMeshNetworks({ networks: value }).value;

describe('networks', () => {
  it('have the gateways that Services with their label are', () => {
    const labelled = [
      gateway('b', ['192.0.2.2', '192.0.2.1']),
      gateway('c', ['192.0.2.3'], { 'networking.istio.io/gatewayPort': '443' }, 443),
      gateway('none', []),
      gateway('elsewhere', ['192.0.2.4'], {}, 80),
      gateway('named', [], {}, 15443, ['gateway.example']),
    ];
    assert.deepEqual(
      Object.fromEntries(networkGateways(sources({ labelled, resolved: () => ['192.0.2.9', '192.0.2.8'] }))),
      {
        b: [
          { address: '192.0.2.1', port: 15443 },
          { address: '192.0.2.2', port: 15443 },
        ],
        c: [{ address: '192.0.2.3', port: 443 }],
        named: [
          { address: '192.0.2.8', port: 15443 },
          { address: '192.0.2.9', port: 15443 },
        ],
      },
    );
    assert.deepEqual(gatewayNames(sources({ labelled })), ['gateway.example']);
  });

  it('have the gateways that the mesh networks name by address, by DNS name and by Service', () => {
    const named = sources({
      networks: networks({
        b: { gateways: [{ address: '192.0.2.1', port: 443 }] },
        c: { gateways: [{ address: 'gateway.example', port: 443 }] },
        d: { gateways: [{ registryServiceName: 'gw.istio-system.svc.cluster.local', port: 15443 }] },
        e: { gateways: [{ registryServiceName: 'unknown.istio-system.svc.cluster.local', port: 15443 }] },
      }),
      serviceOf: (host) => (host.startsWith('gw.') ? gateway('', ['192.0.2.3']) : undefined),
      resolved: () => ['192.0.2.2'],
    });
    assert.deepEqual(Object.fromEntries(networkGateways(named)), {
      b: [{ address: '192.0.2.1', port: 443 }],
      c: [{ address: '192.0.2.2', port: 443 }],
      d: [{ address: '192.0.2.3', port: 15443 }],
    });
    assert.deepEqual(gatewayNames(named), ['gateway.example']);
  });

  it('are reached at the nodes that the annotation of a NodePort Service chooses', () => {
    const service = (annotations: Readonly<Record<string, string>>, type = 'NodePort') =>
      readService({
        apiVersion: 'v1',
        kind: 'Service',
        metadata: {
          name: 'eastwest',
          namespace: 'istio-system',
          labels: { 'topology.istio.io/network': 'b' },
          annotations,
        },
        spec: { type, ports: [{ name: 'tls', port: 15443, nodePort: 31443 }] },
      });
    const node = (external: readonly string[], labels = {}) =>
      readNode({
        apiVersion: 'v1',
        kind: 'Node',
        metadata: { name: 'node', labels },
        status: {
          addresses: [
            { type: 'InternalIP', address: '10.0.0.1' },
            ...external.map((address) => ({ type: 'ExternalIP', address })),
          ],
        },
      });
    const nodes = () => [node(['192.0.2.1', '2001:db8::1'], { edge: 'yes' }), node(['192.0.2.2']), node([])];
    const found = (written: string, type?: string) =>
      networkGateways(sources({ labelled: [service({ 'traffic.istio.io/nodeSelector': written }, type)], nodes })).get(
        'b',
      ) ?? [];
    assert.deepEqual(found('{"edge":"yes"}'), [{ address: '192.0.2.1', port: 31443 }]);
    assert.deepEqual(found('{}'), [
      { address: '192.0.2.1', port: 31443 },
      { address: '192.0.2.2', port: 31443 },
    ]);
    for (const nothing of ['{"edge":"no"}', '{{', '[]', '"edge"']) assert.deepEqual(found(nothing), [], nothing);
    assert.deepEqual(found('{}', 'LoadBalancer'), []);
    const named = sources({
      networks: networks({ c: { gateways: [{ registryServiceName: 'gw.istio-system', port: 15443 }] } }),
      serviceOf: () => service({ 'traffic.istio.io/nodeSelector': '{"edge":"yes"}' }),
      nodes,
    });
    assert.deepEqual(networkGateways(named).get('c'), [{ address: '192.0.2.1', port: 31443 }]);
  });

  it('contain a cluster as a whole or ranges of addresses, the narrowest first', () => {
    const ranges = {
      wide: { endpoints: [{ fromCidr: '10.0.0.0/8' }] },
      narrow: { endpoints: [{ fromCidr: '10.1.0.0/16' }, { fromCidr: 'fd00::/64' }] },
    };
    const byRange = networkLookup(networks(ranges), 'one');
    assert.deepEqual(['10.2.0.1', '10.1.0.1', 'fd00::1', '192.0.2.1', 'a.name', ''].map(byRange), [
      'wide',
      'narrow',
      'narrow',
      '',
      '',
      '',
    ]);
    const whole = networkLookup(networks({ ...ranges, all: { endpoints: [{ fromRegistry: 'one' }] } }), 'one');
    assert.deepEqual(['10.1.0.1', '192.0.2.1'].map(whole), ['all', 'all']);
  });

  it('say what of them cannot be used', () => {
    const wrong = networks({
      a: { endpoints: [{ fromCidr: '10.0.0.0/40' }, {}], gateways: [{ address: 'x' }, { port: 443 }] },
    });
    assert.deepEqual(
      networkProblems(wrong).map(({ path }) => path),
      [
        'networks[a].endpoints[0].fromCidr',
        'networks[a].endpoints[1]',
        'networks[a].gateways[0].port',
        'networks[a].gateways[1]',
      ],
    );
    assert.deepEqual(Object.fromEntries(networkGateways(sources({ networks: wrong }))), {});
  });
});
