import type { WireReader } from '@istio-ts/envoy/wire';
import type { Json } from '../json.ts';
import { encode, type Field, integer, message, nested, readFields, text } from '../protobuf.ts';

/** Who asks: what Envoy says of itself too. */
export interface NodeDescription {
  readonly id: string;
  readonly cluster: string;
  readonly metadata: Readonly<Record<string, Json>>;
}

export interface DiscoveryRequest {
  /** In the first request of a stream. */
  readonly node?: NodeDescription;
  readonly typeUrl: string;
  /** What is asked for, of types that are asked for by name. */
  readonly names?: readonly string[];
  /** Version and nonce of the response that is acknowledged. */
  readonly version?: string;
  readonly nonce?: string;
  /** Why the response was not taken or, for health, why the workload is not. */
  readonly error?: { readonly code: number; readonly message: string };
}

/** envoy.service.discovery.v3.DiscoveryRequest for everything of a type, or for what it names. */
export function encodeDiscoveryRequest(request: DiscoveryRequest): Buffer {
  const { node, error } = request;
  return encode(
    message(
      text(1, request.version ?? ''),
      node && nested(2, message(text(1, node.id), text(2, node.cluster), nested(3, struct(node.metadata)))),
      ...(request.names ?? []).map((name) => text(3, name)),
      text(4, request.typeUrl),
      text(5, request.nonce ?? ''),
      error && nested(6, message(integer(1, error.code), text(2, error.message))),
    ),
  );
}

/** google.protobuf.Struct */
function struct(fields: Readonly<Record<string, Json>>): Field {
  return message(
    ...Object.entries(fields).map(([key, value]) => nested(1, message(text(1, key), nested(2, structValue(value))))),
  );
}

function structValue(value: Json): Field {
  switch (typeof value) {
    case 'string':
      // An empty text is a value too.
      return nested(3, (writer) => writer.string(value));
    case 'boolean':
      return (writer) => {
        writer.varint(value ? 1 : 0);
        writer.varint(4 << 3);
      };
    case 'number':
      return (writer) => {
        writer.double(value);
        writer.varint((2 << 3) | 1);
      };
    default:
      if (value === null)
        return (writer) => {
          writer.varint(0);
          writer.varint(1 << 3);
        };
      if (Array.isArray(value)) return nested(6, message(...value.map((entry: Json) => nested(1, structValue(entry)))));
      return nested(5, struct(value as Readonly<Record<string, Json>>));
  }
}

export interface DiscoveryResponse {
  readonly version: string;
  readonly typeUrl: string;
  readonly nonce: string;
  /** Contents of the resources. */
  readonly resources: readonly Buffer[];
}

/** envoy.service.discovery.v3.DiscoveryResponse. Raises DecodeError. */
export function decodeDiscoveryResponse(bytes: Uint8Array): DiscoveryResponse {
  const texts = { version: '', typeUrl: '', nonce: '' };
  const resources: Buffer[] = [];
  readFields(bytes, (number, reader) => {
    switch (number) {
      case 1:
        texts.version = reader.string();
        return true;
      case 2: {
        const start = reader.lengthDelimited();
        resources.push(anyValue(reader.bytes.subarray(start, reader.at)));
        return true;
      }
      case 4:
        texts.typeUrl = reader.string();
        return true;
      case 5:
        texts.nonce = reader.string();
        return true;
      default:
        return false;
    }
  });
  return { ...texts, resources };
}

/** Value of a google.protobuf.Any. */
function anyValue(bytes: Buffer): Buffer {
  let value: Buffer = Buffer.alloc(0);
  readFields(bytes, (number, reader: WireReader) => {
    if (number !== 2) return false;
    const start = reader.lengthDelimited();
    value = reader.bytes.subarray(start, reader.at);
    return true;
  });
  return value;
}
