import { asArray, asObject, asObjects, asString } from '../json.ts';
import type { ApiObject } from '../object.ts';
import { labels, orNone, selector, spec, status } from './cells.ts';
import { AGE, type Column, NAME, text, wide } from './columns.ts';

/** Long lists are cut as kubectl users know it. */
const firstThree = (all: readonly string[]): string =>
  all.length > 3 ? `${all.slice(0, 3).join(',')} + ${all.length - 3} more...` : all.join(',');

const ingressAddresses = (object: ApiObject): readonly string[] =>
  asObjects(asObject(status(object).loadBalancer).ingress).map((item) => asString(item.ip) || asString(item.hostname));

function externalAddresses(object: ApiObject): string {
  const { type, externalIPs, externalName } = spec(object);
  const given = asArray(externalIPs).map(String);
  switch (type) {
    case 'ExternalName':
      return asString(externalName);
    case 'LoadBalancer': {
      const all = [...ingressAddresses(object), ...given];
      return all.length === 0 ? '<pending>' : all.join(',');
    }
    default:
      return orNone(given.join(','));
  }
}

function servicePorts(object: ApiObject): string {
  return orNone(
    asObjects(spec(object).ports)
      .map(
        (port) => `${String(port.port)}${port.nodePort ? `:${String(port.nodePort)}` : ''}/${asString(port.protocol)}`,
      )
      .join(','),
  );
}

function endpointAddresses(object: ApiObject): string {
  const all: string[] = [];
  for (const subset of asObjects(object.subsets)) {
    const addresses = asObjects(subset.addresses).map((item) => asString(item.ip));
    const ports = asObjects(subset.ports);
    if (ports.length === 0) all.push(...addresses);
    for (const port of ports) all.push(...addresses.map((address) => `${address}:${String(port.port)}`));
  }
  return orNone(firstThree(all));
}

/** Columns of services, of their endpoints and of the ways into the cluster. */
export const NETWORKING_COLUMNS: Readonly<Record<string, readonly Column[]>> = {
  '/services': [
    NAME,
    text('Type', (object) => asString(spec(object).type)),
    text('Cluster-IP', (object) => orNone(asString(spec(object).clusterIP))),
    text('External-IP', externalAddresses),
    text('Port(s)', servicePorts),
    AGE,
    wide('Selector', (object) => labels(spec(object).selector)),
  ],
  '/endpoints': [NAME, text('Endpoints', endpointAddresses), AGE],
  'discovery.k8s.io/endpointslices': [
    NAME,
    text('AddressType', (object) => asString(object.addressType)),
    text('Ports', (object) => {
      const ports = asObjects(object.ports).map((port) => String(port.port ?? '*'));
      return ports.length === 0 ? '<unset>' : firstThree(ports);
    }),
    text('Endpoints', (object) => {
      const addresses = asObjects(object.endpoints).flatMap((endpoint) => asArray(endpoint.addresses).map(String));
      return addresses.length === 0 ? '<unset>' : firstThree(addresses);
    }),
    AGE,
  ],
  'networking.k8s.io/ingresses': [
    NAME,
    text('Class', (object) => orNone(asString(spec(object).ingressClassName))),
    text('Hosts', (object) => {
      const hosts = asObjects(spec(object).rules)
        .map((rule) => asString(rule.host))
        .filter((host) => host !== '');
      return hosts.length === 0 ? '*' : [...new Set(hosts)].join(',');
    }),
    text('Address', (object) => ingressAddresses(object).join(',')),
    text('Ports', (object) => (asArray(spec(object).tls).length > 0 ? '80, 443' : '80')),
    AGE,
  ],
  'networking.k8s.io/ingressclasses': [
    NAME,
    text('Controller', (object) => asString(spec(object).controller)),
    text('Parameters', (object) => {
      const parameters = asObject(spec(object).parameters);
      return parameters.name === undefined ? '<none>' : `${asString(parameters.kind)}/${asString(parameters.name)}`;
    }),
    AGE,
  ],
  'networking.k8s.io/networkpolicies': [
    NAME,
    text('Pod-Selector', (object) => selector(spec(object).podSelector)),
    AGE,
  ],
};
