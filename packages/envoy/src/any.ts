import type { MessageName, MessageTypes, TypedAny } from '../generated/types.d.ts';

/** What type URLs begin with. */
export const TYPE_URL_PREFIX = 'type.googleapis.com/';

/** The URL that names a message type inside a google.protobuf.Any. */
export function typeUrl<N extends MessageName>(typeName: N): `type.googleapis.com/${N}` {
  return `type.googleapis.com/${typeName}`;
}

/** A message as the content of an Any, checked against its type. */
export function typedAny<N extends MessageName>(typeName: N, message: MessageTypes[N]): TypedAny<N> {
  return { '@type': typeUrl(typeName), ...message } as TypedAny<N>;
}
