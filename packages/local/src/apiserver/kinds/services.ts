import { randomInt } from 'node:crypto';
import type { ObjectStore } from '../../store/object-store.ts';
import { asArray, asObject, asObjects, asString, isObject, type JsonObject } from '../json.ts';
import type { ApiObject } from '../object.ts';
import { fieldError, invalid } from '../status.ts';

const FIRST_NODE_PORT = 30_000;
const LAST_NODE_PORT = 32_767;

function toNumber(address: string): number {
  return address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
}

function toAddress(number: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(number / 2 ** shift) % 256).join('.');
}

/** Hands out ClusterIPs and node ports. What is in use is read from the Services themselves, so nothing can get out of step. */
export class ServiceAllocator {
  readonly #store: ObjectStore;
  readonly #first: number;
  readonly #last: number;
  readonly #cidr: string;

  /** `cidr`: IPv4 network, for example `10.96.0.0/16`. Its first 255 addresses (or first 16th) are only given on request. */
  constructor(store: ObjectStore, cidr: string) {
    const [base = '', bits = '16'] = cidr.split('/');
    const size = 2 ** (32 - Number(bits));
    this.#store = store;
    this.#cidr = cidr;
    this.#first = toNumber(base);
    this.#last = this.#first + size - 2;
  }

  #others(self: ApiObject): ApiObject[] {
    return this.#store.list('/services').filter((service) => service.metadata.uid !== self.metadata.uid);
  }

  #usedPorts(self: ApiObject): Set<number> {
    const used = new Set<number>();
    for (const service of this.#others(self)) {
      const spec = asObject(service.spec);
      for (const port of asObjects(spec.ports)) if (typeof port.nodePort === 'number') used.add(port.nodePort);
      if (typeof spec.healthCheckNodePort === 'number') used.add(spec.healthCheckNodePort);
    }
    return used;
  }

  /** Completes a Service: ClusterIP, node ports, IP families. Throws a 422 `ApiError` when a requested one is taken or out of range. */
  complete(service: ApiObject, old: ApiObject | undefined): void {
    const spec = asObject(service.spec);
    const before = asObject(old?.spec);
    const type = spec.type;
    if (type === 'ExternalName') {
      for (const field of ['clusterIP', 'clusterIPs', 'ipFamilies', 'ipFamilyPolicy']) delete spec[field];
    } else {
      if (asString(spec.clusterIP) === '') {
        const fromList = asString(asArray(spec.clusterIPs)[0]);
        spec.clusterIP = fromList !== '' ? fromList : asString(before.clusterIP);
      }
      if (spec.clusterIP === '') spec.clusterIP = this.#freeAddress(service);
      else if (spec.clusterIP !== 'None' && spec.clusterIP !== before.clusterIP)
        this.#checkAddress(service, asString(spec.clusterIP));
      spec.clusterIPs = [spec.clusterIP];
    }
    const wantsPorts = type === 'NodePort' || (type === 'LoadBalancer' && spec.allocateLoadBalancerNodePorts !== false);
    if (wantsPorts) this.#nodePorts(service, spec, before);
    else if (type !== 'LoadBalancer') for (const port of asObjects(spec.ports)) delete port.nodePort;
    if (type !== 'NodePort' && type !== 'LoadBalancer') {
      delete spec.externalTrafficPolicy;
      delete spec.allocateLoadBalancerNodePorts;
      delete spec.healthCheckNodePort;
    } else if (type === 'LoadBalancer' && spec.externalTrafficPolicy === 'Local') {
      spec.healthCheckNodePort ??= before.healthCheckNodePort ?? this.#freePort(this.#usedPorts(service));
    } else delete spec.healthCheckNodePort;
  }

  #freeAddress(service: ApiObject): string {
    const used = new Set(this.#others(service).map((other) => asObject(other.spec).clusterIP));
    const size = this.#last - this.#first;
    const reserved = Math.min(255, Math.max(1, Math.floor(size / 16)));
    for (let attempt = 0; attempt < 64; attempt += 1) {
      const address = toAddress(this.#first + reserved + randomInt(1, size - reserved));
      if (!used.has(address)) return address;
    }
    for (let number = this.#first + 1; number <= this.#last; number += 1) {
      if (!used.has(toAddress(number))) return toAddress(number);
    }
    throw this.#refuse(service, fieldError.invalid('spec.clusterIPs', null, 'failed to allocate IP: range is full'));
  }

  #checkAddress(service: ApiObject, address: string): void {
    const field = 'spec.clusterIPs';
    if (!/^\d{1,3}(\.\d{1,3}){3}$/.test(address)) {
      throw this.#refuse(
        service,
        fieldError.invalid(
          'spec.clusterIPs[0]',
          address,
          'must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)',
        ),
      );
    }
    const number = toNumber(address);
    const refused = (why: string) =>
      this.#refuse(service, fieldError.invalid(field, [address], `failed to allocate IP ${address}: ${why}`));
    if (number <= this.#first || number > this.#last)
      throw refused(`the provided network does not match the current range (${this.#cidr})`);
    if (this.#others(service).some((other) => asObject(other.spec).clusterIP === address))
      throw refused('provided IP is already allocated');
  }

  #nodePorts(service: ApiObject, spec: JsonObject, before: JsonObject): void {
    const used = this.#usedPorts(service);
    const own = new Map<string, number>();
    for (const port of asObjects(before.ports)) {
      if (typeof port.nodePort === 'number') own.set(`${String(port.protocol)}/${String(port.port)}`, port.nodePort);
    }
    asObjects(spec.ports).forEach((port, index) => {
      const requested = port.nodePort;
      const field = `spec.ports[${index}].nodePort`;
      if (typeof requested === 'number' && requested !== 0) {
        if (requested < FIRST_NODE_PORT || requested > LAST_NODE_PORT) {
          throw this.#refuse(
            service,
            fieldError.invalid(
              field,
              requested,
              `provided port is not in the valid range. The range of valid ports is ${FIRST_NODE_PORT}-${LAST_NODE_PORT}`,
            ),
          );
        }
        if (used.has(requested))
          throw this.#refuse(service, fieldError.invalid(field, requested, 'provided port is already allocated'));
        return;
      }
      const kept = own.get(`${String(port.protocol)}/${String(port.port)}`);
      port.nodePort = kept ?? this.#freePort(used);
      used.add(port.nodePort as number);
    });
  }

  #freePort(used: ReadonlySet<number>): number {
    for (let attempt = 0; attempt < 64; attempt += 1) {
      const port = randomInt(FIRST_NODE_PORT, LAST_NODE_PORT + 1);
      if (!used.has(port)) return port;
    }
    for (let port = FIRST_NODE_PORT; port <= LAST_NODE_PORT; port += 1) if (!used.has(port)) return port;
    throw invalid('', 'Service', '', [fieldError.invalid('spec.ports', null, 'no node port is free')]);
  }

  #refuse(service: ApiObject, error: ReturnType<typeof fieldError.invalid>) {
    return invalid('', 'Service', service.metadata.name, [error]);
  }
}

/** Whether an object is a Service that may need addresses. */
export function isService(object: ApiObject): boolean {
  return object.kind === 'Service' && object.apiVersion === 'v1' && isObject(object.spec);
}
