import { WireReader, WireType } from '@istio-ts/envoy/wire';
import type { SecretValue } from './messages.ts';

/** Reads an envoy.extensions.transport_sockets.tls.v3.Secret of another program: its name, and its value as it was sent. Raises DecodeError. */
export function readSecret(bytes: Buffer): { readonly name: string; readonly value: SecretValue } {
  let name = '';
  let certificate: { readonly chain: string; readonly key: string; readonly isPlain: boolean } | undefined;
  let trusted: { readonly ca: string; readonly isPlain: boolean } | undefined;
  let isOther = false;
  eachField(bytes, (number, content) => {
    switch (number) {
      case 1:
        name = content.toString('utf8');
        return;
      case 2:
        certificate = readCertificate(content);
        return;
      case 4:
        trusted = readValidation(content);
        return;
      default:
        isOther = true;
    }
  });
  if (!isOther && certificate?.isPlain && trusted === undefined)
    return { name, value: { kind: 'certificate', chain: certificate.chain, key: certificate.key } };
  if (!isOther && trusted?.isPlain && certificate === undefined)
    return { name, value: { kind: 'root', trustedCa: trusted.ca } };
  return { name, value: { kind: 'encoded', secret: bytes.toString('base64') } };
}

function readCertificate(bytes: Buffer): {
  readonly chain: string;
  readonly key: string;
  readonly isPlain: boolean;
} {
  const found = { chain: '', key: '', isPlain: true };
  eachField(bytes, (number, content) => {
    const text = number === 1 || number === 2 ? inlineText(content) : undefined;
    if (text === undefined) found.isPlain = false;
    else if (number === 1) found.chain = text;
    else found.key = text;
  });
  return { ...found, isPlain: found.isPlain && found.chain !== '' && found.key !== '' };
}

function readValidation(bytes: Buffer): { readonly ca: string; readonly isPlain: boolean } {
  const found = { ca: '', isPlain: true };
  eachField(bytes, (number, content) => {
    const text = number === 1 ? inlineText(content) : undefined;
    if (text === undefined) found.isPlain = false;
    else found.ca = text;
  });
  return { ...found, isPlain: found.isPlain && found.ca !== '' };
}

/** What a DataSource holds itself, as bytes or text; undefined for a file or a variable. */
function inlineText(bytes: Buffer): string | undefined {
  let text: string | undefined;
  eachField(bytes, (number, content) => {
    if (number === 2 || number === 3) text = content.toString('utf8');
  });
  return text;
}

/** Fields that are no messages, bytes or texts are told of with the number 0. */
function eachField(bytes: Buffer, take: (number: number, content: Buffer) => void): void {
  const reader = new WireReader(bytes);
  while (reader.at < reader.end) {
    const tag = reader.uint32();
    const wireType = tag & 7;
    if (wireType === WireType.Bytes) {
      const start = reader.lengthDelimited();
      take(tag >>> 3, bytes.subarray(start, reader.at));
    } else {
      reader.skip(wireType);
      take(0, Buffer.alloc(0));
    }
  }
}
