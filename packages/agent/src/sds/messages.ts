import { encode, type Field, integer, message, nested, readFields, text } from '../protobuf.ts';

/**
 * The few protobuf messages the agent speaks (xDS discovery, Secret, Istio's CA), written and read by hand: the agent runs in
 * every pod, and the descriptors of all of Envoy would cost it a third of its memory. Field numbers are from Envoy's and Istio's
 * public .proto files; the tests compare with the generic encoder.
 */

export const SECRET_TYPE = 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret';

/** What both kinds of discovery request say, state of the world and delta. */
export interface SecretRequest {
  readonly typeUrl: string;
  /** State of the world: all names wanted. Delta: names added. */
  readonly names: readonly string[];
  /** Delta only. */
  readonly unsubscribe: readonly string[];
  readonly nonce: string;
  /** Why the client refused the last response. */
  readonly error: string | undefined;
}

/** A secret as Envoy takes it. Texts are PEM. */
export type SecretValue =
  | { readonly kind: 'certificate'; readonly chain: string; readonly key: string }
  | { readonly kind: 'root'; readonly trustedCa: string; readonly crl?: string }
  /** Of another program, with more than that in it: the message as it was sent, in base64. */
  | { readonly kind: 'encoded'; readonly secret: string };

function secret(name: string, value: SecretValue): Field {
  // DataSource.inline_bytes, as the generic SDS servers use.
  const data = (number: number, pem: string): Field =>
    nested(
      number,
      nested(2, (writer) => writer.string(pem)),
    );
  switch (value.kind) {
    case 'certificate':
      return message(text(1, name), nested(2, message(data(1, value.chain), data(2, value.key))));
    case 'root':
      return message(
        text(1, name),
        nested(4, message(data(1, value.trustedCa), value.crl === undefined ? undefined : data(7, value.crl))),
      );
    case 'encoded':
      return (writer) => writer.bytes(Buffer.from(value.secret, 'base64'));
  }
}

function any(number: number, typeUrl: string, value: Field): Field {
  return nested(number, message(text(1, typeUrl), nested(2, value)));
}

export interface NamedSecret {
  readonly name: string;
  readonly version: string;
  readonly value: SecretValue;
}

/** envoy.service.discovery.v3.DiscoveryResponse */
export function encodeDiscoveryResponse(version: string, nonce: string, secrets: readonly NamedSecret[]): Buffer {
  return encode(
    message(
      text(1, version),
      ...secrets.map((entry) => any(2, SECRET_TYPE, secret(entry.name, entry.value))),
      text(4, SECRET_TYPE),
      text(5, nonce),
    ),
  );
}

/** envoy.service.discovery.v3.DeltaDiscoveryResponse */
export function encodeDeltaResponse(version: string, nonce: string, secrets: readonly NamedSecret[]): Buffer {
  return encode(
    message(
      text(1, version),
      ...secrets.map((entry) =>
        nested(
          2,
          message(text(1, entry.version), any(2, SECRET_TYPE, secret(entry.name, entry.value)), text(3, entry.name)),
        ),
      ),
      text(4, SECRET_TYPE),
      text(5, nonce),
    ),
  );
}

/** istio.v1.auth.IstioCertificateRequest; `ttl` in seconds. */
export function encodeCertificateRequest(csr: string, ttl: number, metadata: Readonly<Record<string, string>>): Buffer {
  const entries = Object.entries(metadata).map(([key, value]) =>
    nested(
      1,
      message(
        text(1, key),
        nested(
          2,
          nested(3, (writer) => writer.string(value)),
        ),
      ),
    ),
  );
  return encode(
    message(
      text(1, csr),
      integer(3, Math.floor(ttl)),
      entries.length === 0 ? undefined : nested(4, message(...entries)),
    ),
  );
}

/** istio.v1.auth.IstioCertificateResponse: certificate, intermediates, root. Raises DecodeError. */
export function decodeCertificateResponse(bytes: Uint8Array): readonly string[] {
  const chain: string[] = [];
  readFields(bytes, (number, reader) => {
    if (number === 1) chain.push(reader.string());
    return number === 1;
  });
  return chain;
}

/** envoy.service.discovery.v3.DiscoveryRequest. Raises DecodeError. */
export function decodeDiscoveryRequest(bytes: Uint8Array): SecretRequest {
  return decodeRequest(bytes, { typeUrl: 4, names: 3, unsubscribe: 0, nonce: 5, error: 6 });
}

/** envoy.service.discovery.v3.DeltaDiscoveryRequest. Raises DecodeError. */
export function decodeDeltaRequest(bytes: Uint8Array): SecretRequest {
  return decodeRequest(bytes, { typeUrl: 2, names: 3, unsubscribe: 4, nonce: 6, error: 7 });
}

interface RequestFields {
  readonly typeUrl: number;
  readonly names: number;
  readonly unsubscribe: number;
  readonly nonce: number;
  readonly error: number;
}

function decodeRequest(bytes: Uint8Array, fields: RequestFields): SecretRequest {
  let typeUrl = '';
  let nonce = '';
  let error: string | undefined;
  const names: string[] = [];
  const unsubscribe: string[] = [];
  readFields(bytes, (number, reader) => {
    switch (number) {
      case fields.typeUrl:
        typeUrl = reader.string();
        return true;
      case fields.names:
        names.push(reader.string());
        return true;
      case fields.nonce:
        nonce = reader.string();
        return true;
      case fields.error: {
        const start = reader.lengthDelimited();
        error = decodeStatusMessage(reader.bytes.subarray(start, reader.at));
        return true;
      }
      default:
        if (number !== fields.unsubscribe) return false;
        unsubscribe.push(reader.string());
        return true;
    }
  });
  return { typeUrl, names, unsubscribe, nonce, error };
}

/** Text of a google.rpc.Status. */
function decodeStatusMessage(bytes: Uint8Array): string {
  let found = 'no reason given';
  readFields(bytes, (number, reader) => {
    if (number !== 2) return false;
    found = reader.string();
    return true;
  });
  return found;
}
