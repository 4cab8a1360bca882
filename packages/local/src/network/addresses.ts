/** Fixed addresses inside the cluster's own network namespace; two clusters never share one, so they may be the same everywhere. */
export const POD_CIDR = '10.244.0.0/16';
export const SERVICE_CIDR = '10.96.0.0/16';
/** Address of the node: gateway of the pods, source of probes, address of NodePorts inside the cluster. */
export const NODE_ADDRESS = '10.244.0.1';
export const DNS_ADDRESS = '10.96.0.10';
/** Port of the API server on the node address; ClusterIP 10.96.0.1:443 leads there. */
export const API_PORT = 6443;

/** Hands out pod addresses in turn, so that an address is not used again soon after its pod ended. */
export interface AddressPool {
  /** Throws when all addresses are in use. */
  allocate(): string;
  /** Marks an address of a pod that runs already. */
  reserve(address: string): void;
  release(address: string): void;
}

const FIRST = 2;
const LAST = 65_534;

export function createAddressPool(): AddressPool {
  const used = new Set<number>();
  let next = FIRST;
  return {
    allocate() {
      for (let tries = FIRST; tries <= LAST; tries++) {
        const candidate = next;
        next = next === LAST ? FIRST : next + 1;
        // Addresses that end in 0 or 255 confuse old software.
        if (used.has(candidate) || (candidate & 255) === 0 || (candidate & 255) === 255) continue;
        used.add(candidate);
        return toAddress(candidate);
      }
      throw new Error(`no free pod address is left in ${POD_CIDR}`);
    },
    reserve(address) {
      const number = toNumber(address);
      if (number === undefined) return;
      used.add(number);
      if (number >= next) next = number === LAST ? FIRST : number + 1;
    },
    release(address) {
      const number = toNumber(address);
      if (number !== undefined) used.delete(number);
    },
  };
}

function toAddress(number: number): string {
  return `10.244.${number >> 8}.${number & 255}`;
}

function toNumber(address: string): number | undefined {
  const match = /^10\.244\.(\d{1,3})\.(\d{1,3})$/.exec(address);
  return match === null ? undefined : Number(match[1]) * 256 + Number(match[2]);
}
