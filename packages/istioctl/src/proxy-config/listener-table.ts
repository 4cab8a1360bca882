import type { Json } from '@istio-ts/envoy-dump/json';
import {
  addressesOf,
  chainMatch,
  chainsOf,
  destinationOf,
  portOf,
  typeOfListener,
} from '@istio-ts/envoy-dump/listener';
import { table } from '../cli/table.ts';

export interface ListenerFilter {
  readonly address?: string;
  readonly port?: number;
  /** HTTP, TCP, HTTP+TCP or UNKNOWN, in any case. */
  readonly type?: string;
}

/** Keeps the listeners that the flags ask for. A listener of HTTP and TCP is one of HTTP and one of TCP too. */
export function filterListeners(listeners: readonly Json[], filter: ListenerFilter): readonly Json[] {
  const { address, port, type } = filter;
  return listeners.filter(
    (listener) =>
      (address === undefined || addressesOf(listener).some((own) => own.toLowerCase() === address.toLowerCase())) &&
      (port === undefined || portOf(listener) === port) &&
      (type === undefined ||
        typeOfListener(listener) === type.toUpperCase() ||
        typeOfListener(listener).split('+').includes(type.toUpperCase())),
  );
}

/** The table of `istioctl proxy-config listener`. */
export function listenerTable(listeners: readonly Json[], verbose: boolean): string {
  const address = (listener: Json) => addressesOf(listener).join(',');
  const sorted = [...listeners].sort((a, b) => portOf(a) - portOf(b) || address(a).localeCompare(address(b)));
  if (!verbose)
    return table(
      ['ADDRESSES', 'PORT', 'TYPE'],
      sorted.map((listener) => [address(listener), String(portOf(listener)), typeOfListener(listener)]),
    );
  const rows = sorted.flatMap((listener) =>
    chainsOf(listener).map((chain) => [
      address(listener),
      String(portOf(listener)),
      chainMatch(chain),
      destinationOf(chain),
    ]),
  );
  return table(['ADDRESSES', 'PORT', 'MATCH', 'DESTINATION'], rows, 1);
}
