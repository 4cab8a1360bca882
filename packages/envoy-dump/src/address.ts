import { at, type Json, text } from './json.ts';

/** An address of Envoy for people: `10.0.0.1:80`, `[::1]:80`, `unix:///path` or `envoy://listener/endpoint`. */
export interface EnvoyAddress {
  readonly host: string;
  readonly port: number | undefined;
}

/** Reads envoy.config.core.v3.Address. */
export function readAddress(address: unknown): EnvoyAddress {
  const socket = at(address, 'socketAddress');
  const pipe = at(address, 'pipe', 'path');
  const internal = at(address, 'envoyInternalAddress') as Json | undefined;
  if (socket !== undefined) {
    const port = at(socket, 'portValue');
    return { host: text(at(socket, 'address')), port: port === undefined ? undefined : Number(port) };
  }
  if (pipe !== undefined) return { host: `unix://${text(pipe)}`, port: undefined };
  if (internal !== undefined) {
    const id = text(at(internal, 'endpointId'));
    return { host: `envoy://${text(at(internal, 'serverListenerName'))}${id === '' ? '' : `/${id}`}`, port: undefined };
  }
  return { host: '', port: undefined };
}

export function formatAddress({ host, port }: EnvoyAddress): string {
  if (port === undefined) return host;
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
