import type { ServerCall } from '@istio-ts/envoy/grpc';

/** The token of an `authorization: Bearer …` header, or undefined. */
export function bearerToken(call: Pick<ServerCall, 'metadata'>): string | undefined {
  const header = call.metadata.authorization;
  const match = typeof header === 'string' ? /^Bearer ([\w.~+/=-]{1,16384})$/i.exec(header.trim()) : null;
  return match?.[1];
}
