import type { RouteConfiguration, VirtualHost } from '@istio-ts/envoy';
import { WireReader } from '@istio-ts/envoy/wire';
import type { Generated } from '../generated.ts';
import type { XdsResource } from '../source.ts';
import { encodeResource } from './resource.ts';
import type { ResourceType } from './type-urls.ts';

/** `virtual_hosts` of a RouteConfiguration, as key of a length-delimited field. */
const HOSTS_KEY = (2 << 3) | 2;

/** Where a host stands in the bytes of the configuration that it was last encoded in. */
interface Place {
  readonly whole: Uint8Array;
  readonly start: number;
  readonly end: number;
}

/** Hosts are told apart by identity: generators return the same object as long as nothing changed. */
const places = new WeakMap<VirtualHost, Place>();

/** Hosts whose bytes are known are replaced by them; Uint8Arrays stand for encoded messages. */
function withKnownBytes(hosts: readonly VirtualHost[]): readonly (VirtualHost | Uint8Array)[] {
  return hosts.map((host) => {
    const place = places.get(host);
    return place === undefined ? host : place.whole.subarray(place.start, place.end);
  });
}

function remember(hosts: readonly VirtualHost[], whole: Uint8Array): void {
  const reader = new WireReader(whole);
  let index = 0;
  while (reader.at < reader.end && index < hosts.length) {
    const key = reader.uint32();
    if (key !== HOSTS_KEY) {
      reader.skip(key & 7);
      continue;
    }
    const start = reader.lengthDelimited();
    const host = hosts[index++];
    if (host !== undefined) places.set(host, { whole, start, end: reader.at });
  }
}

/**
 * Encodes a route configuration whose hosts are mostly as they were: their bytes are copied. A change of one host of a thousand then costs little
 * for proxies that get the configuration whole, and the bytes are the same as if all had been encoded. Raises `EncodeError`.
 */
export function encodeRoutes(type: ResourceType, name: string, generated: Generated<unknown>): XdsResource {
  const routes = generated.resource as RouteConfiguration;
  const hosts = routes.virtualHosts ?? [];
  if (hosts.length < 2) return encodeResource(type, name, generated);
  const resource = encodeResource(type, name, {
    ...generated,
    resource: { ...routes, virtualHosts: withKnownBytes(hosts) },
  });
  remember(hosts, resource.value);
  return resource;
}
