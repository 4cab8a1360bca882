// Reading of discovery responses without unmarshalling them: names, versions and byte ranges are all that a simulated proxy needs.

export interface ScannedResource {
  readonly name: string;
  readonly version: string;
  /** The resource itself (the value of its Any). */
  readonly start: number;
  readonly end: number;
}

export interface ScannedResponse {
  readonly typeUrl: string;
  readonly nonce: string;
  readonly resources: readonly ScannedResource[];
  readonly removed: readonly string[];
}

/** Calls back with every length-delimited field of a message. */
export function eachField(
  bytes: Buffer,
  start: number,
  end: number,
  see: (field: number, start: number, end: number) => void,
): void {
  let at = start;
  const varint = (): number => {
    let value = 0;
    let scale = 1;
    for (;;) {
      const byte = bytes[at++];
      if (byte === undefined) throw new Error('a varint that does not end');
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
      scale *= 128;
    }
  };
  while (at < end) {
    const tag = varint();
    switch (tag & 7) {
      case 0:
        varint();
        break;
      case 1:
        at += 8;
        break;
      case 2: {
        const length = varint();
        see(tag >>> 3, at, at + length);
        at += length;
        break;
      }
      case 5:
        at += 4;
        break;
      default:
        throw new Error(`wire type ${tag & 7}`);
    }
  }
}

/** Reads a DeltaDiscoveryResponse. */
export function scanDelta(bytes: Buffer): ScannedResponse {
  let typeUrl = '';
  let nonce = '';
  const resources: ScannedResource[] = [];
  const removed: string[] = [];
  eachField(bytes, 0, bytes.length, (field, start, end) => {
    if (field === 4) typeUrl = bytes.toString('latin1', start, end);
    else if (field === 5) nonce = bytes.toString('latin1', start, end);
    else if (field === 6) removed.push(bytes.toString('latin1', start, end));
    else if (field === 2) resources.push(scanResource(bytes, start, end));
  });
  return { typeUrl, nonce, resources, removed };
}

function scanResource(bytes: Buffer, start: number, end: number): ScannedResource {
  let name = '';
  let version = '';
  let range = [end, end] as const;
  eachField(bytes, start, end, (field, from, to) => {
    if (field === 3) name = bytes.toString('latin1', from, to);
    else if (field === 1) version = bytes.toString('latin1', from, to);
    else if (field === 2)
      eachField(bytes, from, to, (inner, a, b) => {
        if (inner === 2) range = [a, b];
      });
  });
  return { name, version, start: range[0], end: range[1] };
}
