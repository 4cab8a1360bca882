import { celRule, filled } from '../schema/cel.ts';
import { as, list, map, object, required, string, type TypeOf, uint32, withCel } from '../schema/schema.ts';
import { readinessProbe } from './common.ts';

export const workloadEntrySpec = object('A workload outside Kubernetes.', {
  address: string('IP address, host name (only with DNS resolution) or unix:///path.', { maxLength: 253 }),
  ports: map(
    uint32('Port number.', { minimum: 1, maximum: 65535 }),
    'Port of this workload for each port name of the service.',
    {
      maxProperties: 128,
    },
  ),
  labels: map(string(), 'Labels of the workload.', { maxProperties: 256 }),
  network: string('Network the workload is in; workloads of one network reach each other directly.', {
    maxLength: 2048,
  }),
  locality: string('Where it runs: region/zone/subzone.', { maxLength: 2048 }),
  weight: uint32('Share of traffic relative to the others.'),
  serviceAccount: string('Service account that the workload runs as, for its identity.', { maxLength: 253 }),
});
export type WorkloadEntrySpec = TypeOf<typeof workloadEntrySpec>;

export const workloadGroupSpec = object('A template for workloads that register themselves.', {
  metadata: object('Metadata of the entries made from this.', {
    labels: map(string(), 'Labels.', { maxProperties: 256 }),
    annotations: map(string(), 'Annotations.', { maxProperties: 256 }),
  }),
  template: required(as(workloadEntrySpec, 'The entry, without an address.')),
  probe: readinessProbe,
});
export type WorkloadGroupSpec = TypeOf<typeof workloadGroupSpec>;

/** Rules of an entry that stands for a workload itself, not of a template for entries. */
export const workloadEntryRules = [
  celRule(
    `${filled('address')} || ${filled('network')}`,
    'address is required; only a workload behind a network gateway, with network, may lack it',
  ),
  celRule(
    "!has(self.address) || !self.address.startsWith('unix://') || self.address.startsWith('unix:///') || self.address.startsWith('unix://@')",
    'address: a Unix socket needs an absolute path: unix:///path',
  ),
  celRule(
    `!has(self.address) || !self.address.startsWith('unix://') || !${filled('ports')}`,
    'ports must be empty with a Unix socket',
  ),
];

export const workloadEntries = list(withCel(workloadEntrySpec, ...workloadEntryRules), 'Endpoints of the service.', {
  maxItems: 4096,
});
