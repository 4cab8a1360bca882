import type { Address } from '@istio-ts/envoy';

/** The address of an endpoint: `unix:///path` is a socket in the file system. */
export function endpointAddress(address: string, port: number): Address {
  const pipe = unixPath(address);
  return pipe === undefined ? { socketAddress: { address, portValue: port } } : { pipe: { path: pipe } };
}

/** Path of `unix:///run/app.sock` and of `unix://@abstract`, or undefined for other addresses. */
export function unixPath(address: string): string | undefined {
  return address.startsWith('unix://') ? address.slice('unix://'.length) : undefined;
}
