import type { Labels } from '../labels.ts';
import { CHUNK_SAMPLES, type Chunk, ChunkWriter, emptySamples, readChunk, type Samples } from './chunk.ts';

/** Bytes that a series costs beside its labels and samples, roughly. */
const OVERHEAD = 400;

/** One series: what it is called and its samples, oldest first. */
export class Series {
  readonly labels: Labels;
  #chunks: Chunk[] = [];
  #open: ChunkWriter | undefined;
  #chunkBytes = 0;
  readonly #overhead: number;

  constructor(labels: Labels) {
    this.labels = labels;
    // The text of the labels is the key of the series, here and with its target.
    this.#overhead = OVERHEAD + 2 * labels.reduce((sum, text) => sum + text.length + 1, 0);
  }

  get bytes(): number {
    return this.#overhead + this.#chunkBytes + (this.#open?.size ?? 0);
  }

  get firstTime(): number | undefined {
    return this.#chunks[0]?.firstTime ?? this.#open?.firstTime;
  }

  get lastTime(): number | undefined {
    return this.#open?.lastTime ?? this.#chunks.at(-1)?.lastTime;
  }

  /** Appends a sample; false where it is not later than the last one. */
  add(time: number, value: number): boolean {
    const last = this.lastTime;
    if (last !== undefined && time <= last) return false;
    this.#open ??= new ChunkWriter();
    this.#open.add(time, value);
    if (this.#open.count >= CHUNK_SAMPLES) this.#close();
    return true;
  }

  #close(): void {
    const chunk = this.#open?.chunk();
    this.#open = undefined;
    if (chunk === undefined) return;
    this.#chunks.push(chunk);
    this.#chunkBytes += chunk.bytes.length + 64;
  }

  /** Samples with `from` <= time <= `to`, milliseconds, stale markers among them. */
  read(from: number, to: number): Samples {
    const samples = emptySamples(16);
    for (const chunk of this.#chunks)
      if (chunk.lastTime >= from && chunk.firstTime <= to) readChunk(chunk, from, to, samples);
    if (this.#open && this.#open.lastTime >= from && this.#open.firstTime <= to)
      readChunk(this.#open.chunk(), from, to, samples);
    return samples;
  }

  /** Forgets chunks that end before `time`; true when nothing is left. */
  forget(time: number): boolean {
    if (this.#open && this.#open.lastTime < time) this.#close();
    const kept = this.#chunks.filter(({ lastTime }) => lastTime >= time);
    if (kept.length < this.#chunks.length) {
      this.#chunks = kept;
      this.#chunkBytes = kept.reduce((sum, { bytes }) => sum + bytes.length + 64, 0);
    }
    return this.#chunks.length === 0 && this.#open === undefined;
  }
}
