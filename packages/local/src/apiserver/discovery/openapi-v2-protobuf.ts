import { VERSION_INFO } from './version.ts';

/** The media type in which kubectl asks for OpenAPI v2 (gnostic's `openapi.v2.Document`). */
export const OPENAPI_V2_PROTOBUF = 'application/com.github.proto-openapi.spec.v2@v1.0+protobuf';

function field(number: number, bytes: Buffer): Buffer {
  if (bytes.length > 127) throw new Error('only short fields are written here');
  return Buffer.concat([Buffer.from([(number << 3) | 2, bytes.length]), bytes]);
}

const text = (number: number, value: string) => field(number, Buffer.from(value));

/**
 * A document without paths and definitions. Clients of version 1.28 and later read kinds from OpenAPI v3 and come here only to find out
 * that v2 does not know a kind either.
 */
export function openApiV2Protobuf(): Buffer {
  const info = Buffer.concat([text(1, 'Kubernetes'), text(2, VERSION_INFO.gitVersion)]);
  return Buffer.concat([text(1, '2.0'), field(2, info), field(8, Buffer.alloc(0)), field(9, Buffer.alloc(0))]);
}
