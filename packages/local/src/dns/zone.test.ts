import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { EndpointSlice, Service } from '../controllers/kinds.ts';
import { lookupZone, type ZoneSource } from './zone.ts';

const services: Record<string, Service> = {};
const slices: Record<string, EndpointSlice[]> = {};
const add = (name: string, spec: Service['spec']) => {
  services[`default/${name}`] = { apiVersion: 'v1', kind: 'Service', metadata: { name, namespace: 'default' }, spec };
};
add('shop', { clusterIP: '10.96.0.5', ports: [{ name: 'http', port: 80 }] });
add('db', { clusterIP: 'None', ports: [{ name: 'sql', port: 5432 }] });
add('out', { type: 'ExternalName', externalName: 'example.org' });
slices['default/db'] = [
  {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name: 'db-1', namespace: 'default' },
    addressType: 'IPv4',
    endpoints: [
      { addresses: ['10.244.0.4'], hostname: 'db-0', conditions: { ready: true } },
      { addresses: ['10.244.0.5'], conditions: { ready: true } },
      { addresses: ['10.244.0.6'], conditions: { ready: false } },
    ],
    ports: [{ name: 'sql', port: 5432, protocol: 'TCP' }],
  },
];
const source: ZoneSource = {
  service: (namespace, name) => services[`${namespace}/${name}`],
  slices: (namespace, name) => slices[`${namespace}/${name}`] ?? [],
  hasNamespace: (namespace) => namespace === 'default',
  serviceByIP: (address) => Object.values(services).find((service) => service.spec.clusterIP === address),
  endpointByIP: () => undefined,
};
const ask = (name: string, type = 'A') => lookupZone(source, 'cluster.local', name, type);

describe('the cluster zone', () => {
  it('has ClusterIPs, without regard to case', () => {
    assert.deepEqual(ask('Shop.default.svc.cluster.local.')?.records, [
      { type: 'A', name: 'shop.default.svc.cluster.local', address: '10.96.0.5' },
    ]);
  });
  it('answers without records for a type that is not there', () => {
    assert.deepEqual(ask('shop.default.svc.cluster.local', 'AAAA'), {
      code: 'NOERROR',
      records: [],
      continueWith: undefined,
    });
  });
  it('has ready endpoints of headless services, and names of their pods', () => {
    assert.deepEqual(
      ask('db.default.svc.cluster.local')?.records.map((record) => record.type === 'A' && record.address),
      ['10.244.0.4', '10.244.0.5'],
    );
    assert.equal(ask('db-0.db.default.svc.cluster.local')?.records.length, 1);
    assert.equal(ask('10-244-0-5.db.default.svc.cluster.local')?.records.length, 1);
    assert.equal(ask('nobody.db.default.svc.cluster.local')?.code, 'NXDOMAIN');
  });
  it('has SRV records of named ports', () => {
    const [record] = ask('_sql._tcp.db.default.svc.cluster.local', 'SRV')?.records ?? [];
    assert(record?.type === 'SRV');
    assert.equal(record.port, 5432);
    assert.equal(record.target, 'db-0.db.default.svc.cluster.local');
    assert.equal(ask('_http._tcp.shop.default.svc.cluster.local', 'SRV')?.records.length, 1);
    assert.equal(ask('_http._udp.shop.default.svc.cluster.local', 'SRV')?.code, 'NXDOMAIN');
  });
  it('leads ExternalName services out', () => {
    assert.equal(ask('out.default.svc.cluster.local')?.continueWith, 'example.org');
  });
  it('has reverse names', () => {
    const [record] = ask('5.0.96.10.in-addr.arpa', 'PTR')?.records ?? [];
    assert(record?.type === 'PTR');
    assert.equal(record.target, 'shop.default.svc.cluster.local');
  });
  it('knows what does not exist, and what is not its own', () => {
    assert.equal(ask('nothing.default.svc.cluster.local')?.code, 'NXDOMAIN');
    assert.equal(ask('shop.other.svc.cluster.local')?.code, 'NXDOMAIN');
    assert.equal(ask('example.org'), undefined);
  });
});
