import type { MessageName, MessageTypes, TypedAny } from '@istio-ts/envoy';

/** A message of type `name` in the form of a google.protobuf.Any: its type's URL beside its fields. */
export function typed<N extends MessageName>(name: N, fields: MessageTypes[N]): TypedAny<N> {
  return { '@type': `type.googleapis.com/${name}`, ...fields } as TypedAny<N>;
}
