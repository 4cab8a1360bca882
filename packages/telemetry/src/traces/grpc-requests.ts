import { DecodeError, decode, type MessageName, type MessageTypes } from '@istio-ts/envoy';
import { GrpcError } from '@istio-ts/envoy/grpc';

/** Decodes what a client sent. Raises GrpcError (INVALID_ARGUMENT). */
export function readRequest<N extends MessageName>(name: N, bytes: Uint8Array): MessageTypes[N] {
  try {
    return decode(name, bytes);
  } catch (error) {
    if (error instanceof DecodeError) throw new GrpcError('INVALID_ARGUMENT', error.message);
    throw error;
  }
}
