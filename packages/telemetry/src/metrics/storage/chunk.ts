/**
 * Samples of one series in few bytes. The first time is absolute; of the others the difference to the difference before is stored, which is 0 as long as
 * scrapes are regular. A value is stored as nothing where it repeats, as a difference where both are whole numbers, else in eight bytes.
 */

/** What is stored when a series has ended (Prometheus' "stale marker"). No scrape gives this value: one that did would be 0 for every purpose. */
export const STALE = -5e-324 * 7;

/** Samples per chunk, as many as Prometheus takes. */
export const CHUNK_SAMPLES = 120;

/** Times in milliseconds and values, side by side; `length` of them count. */
export interface Samples {
  times: Float64Array;
  values: Float64Array;
  length: number;
}

export function emptySamples(capacity = CHUNK_SAMPLES): Samples {
  return { times: new Float64Array(capacity), values: new Float64Array(capacity), length: 0 };
}

export function addSample(samples: Samples, time: number, value: number): void {
  if (samples.length === samples.times.length) {
    const capacity = Math.max(16, samples.length * 2);
    const times = new Float64Array(capacity);
    times.set(samples.times);
    const values = new Float64Array(capacity);
    values.set(samples.values);
    samples.times = times;
    samples.values = values;
  }
  samples.times[samples.length] = time;
  samples.values[samples.length] = value;
  samples.length++;
}

const SAME = 0;
const WHOLE = 1;
const FLOAT = 2;
/** Differences up to here keep within the numbers that doubles tell apart after zigzag coding. */
const MAX_WHOLE = 2 ** 50;

const zigzag = (value: number): number => (value >= 0 ? value * 2 : -value * 2 - 1);
const unzigzag = (code: number): number => (code % 2 === 0 ? code / 2 : -(code + 1) / 2);
const isWhole = (value: number): boolean =>
  Number.isInteger(value) && Math.abs(value) < MAX_WHOLE && !Object.is(value, -0);

/** Appends samples, in the order of time. */
export class ChunkWriter {
  #bytes = new Uint8Array(64);
  #view = new DataView(this.#bytes.buffer);
  #length = 0;
  count = 0;
  firstTime = 0;
  lastTime = 0;
  lastValue = 0;
  #lastStep = 0;

  /** Bytes that it holds. */
  get size(): number {
    return this.#bytes.length;
  }

  add(time: number, value: number): void {
    this.#room(32);
    if (this.count === 0) {
      this.firstTime = time;
      this.#float(value);
    } else {
      const step = time - this.lastTime;
      // Two bits of the kind of the value beside the time.
      const whole = isWhole(value) && isWhole(this.lastValue);
      const kind = Object.is(value, this.lastValue) ? SAME : whole ? WHOLE : FLOAT;
      this.#varint(zigzag(step - this.#lastStep) * 4 + kind);
      if (kind === WHOLE) this.#varint(zigzag(value - this.lastValue));
      else if (kind === FLOAT) this.#float(value);
      this.#lastStep = step;
    }
    this.lastTime = time;
    this.lastValue = value;
    this.count++;
  }

  #room(bytes: number): void {
    if (this.#length + bytes <= this.#bytes.length) return;
    const bigger = new Uint8Array(this.#bytes.length * 2);
    bigger.set(this.#bytes);
    this.#bytes = bigger;
    this.#view = new DataView(bigger.buffer);
  }

  #varint(code: number): void {
    let rest = code;
    while (rest >= 128) {
      this.#bytes[this.#length++] = (rest % 128) + 128;
      rest = Math.floor(rest / 128);
    }
    this.#bytes[this.#length++] = rest;
  }

  #float(value: number): void {
    this.#view.setFloat64(this.#length, value);
    this.#length += 8;
  }

  /** The chunk as it is now, which does not change any more. */
  chunk(): Chunk {
    return {
      firstTime: this.firstTime,
      lastTime: this.lastTime,
      count: this.count,
      bytes: this.#bytes.slice(0, this.#length),
    };
  }
}

export interface Chunk {
  readonly firstTime: number;
  readonly lastTime: number;
  readonly count: number;
  readonly bytes: Uint8Array;
}

/** Adds to `samples` those of the chunk with `from` <= time <= `to`. */
export function readChunk({ bytes, count, firstTime }: Chunk, from: number, to: number, samples: Samples): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 0;
  const varint = (): number => {
    let value = 0;
    let factor = 1;
    for (;;) {
      const byte = bytes[at++] ?? 0;
      value += (byte & 127) * factor;
      if (byte < 128) return value;
      factor *= 128;
    }
  };
  let time = firstTime;
  let value = view.getFloat64(0);
  at = 8;
  let step = 0;
  for (let index = 0; index < count; index++) {
    if (index > 0) {
      const code = varint();
      step += unzigzag(Math.floor(code / 4));
      time += step;
      const kind = code % 4;
      if (kind === WHOLE) value += unzigzag(varint());
      else if (kind === FLOAT) {
        value = view.getFloat64(at);
        at += 8;
      }
    }
    if (time > to) return;
    if (time >= from) addSample(samples, time, value);
  }
}
