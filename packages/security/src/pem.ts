/** Textual encoding of certificates, requests and keys (RFC 7468). */

/** Thrown when text holds no block of the wanted label, or one that is no base64. */
export class PemError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'PemError';
  }
}

/** Longest text accepted: a root bundle of a few hundred certificates. */
const MAX_TEXT = 1 << 20;

export function encodePem(label: string, der: Uint8Array): string {
  const base64 = Buffer.from(der.buffer, der.byteOffset, der.length).toString('base64');
  let body = '';
  for (let at = 0; at < base64.length; at += 64) body += `${base64.slice(at, at + 64)}\n`;
  return `-----BEGIN ${label}-----\n${body}-----END ${label}-----\n`;
}

/** All blocks with this label, in order. */
export function decodePemBlocks(text: string, label: string): readonly Buffer[] {
  if (text.length > MAX_TEXT) throw new PemError(`PEM text of ${text.length} characters is longer than ${MAX_TEXT}`);
  const begin = `-----BEGIN ${label}-----`;
  const end = `-----END ${label}-----`;
  const out: Buffer[] = [];
  for (let at = text.indexOf(begin); at >= 0; at = text.indexOf(begin, at)) {
    const stop = text.indexOf(end, at + begin.length);
    if (stop < 0) throw new PemError(`PEM block ${label} has no end line`);
    const body = text.slice(at + begin.length, stop).replace(/[\s]+/g, '');
    if (!/^[A-Za-z0-9+/]*={0,2}$/.test(body) || body.length % 4 !== 0 || body === '')
      throw new PemError(`PEM block ${label} is not base64`);
    out.push(Buffer.from(body, 'base64'));
    at = stop + end.length;
  }
  return out;
}

/** The only block, or the first of several, with this label. Raises {@link PemError} when there is none. */
export function decodePem(text: string, label: string): Buffer {
  const first = decodePemBlocks(text, label)[0];
  if (first === undefined) throw new PemError(`no PEM block ${label} found`);
  return first;
}

/** Splits a bundle into one PEM text per certificate. */
export function splitCertificates(text: string): readonly string[] {
  return decodePemBlocks(text, 'CERTIFICATE').map((der) => encodePem('CERTIFICATE', der));
}
