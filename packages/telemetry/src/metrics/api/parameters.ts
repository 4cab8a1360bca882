import { durationMs } from '../promql/literals.ts';
import { ApiFailure } from './failure.ts';

/** Times that can be written as a date. */
const MAX_TIME = 8.64e15;

/** Parameters of a request, from its query and, when it is a form, its body. */
export class Parameters {
  readonly #search: URLSearchParams;
  constructor(search: URLSearchParams) {
    this.#search = search;
  }

  text(name: string): string {
    return this.#search.get(name) ?? '';
  }

  all(name: string): string[] {
    return this.#search.getAll(name);
  }

  /** Milliseconds of a time in seconds or RFC 3339. Raises ApiFailure. */
  time(name: string, preset?: number): number {
    const text = this.text(name);
    if (text === '' && preset !== undefined) return preset;
    const seconds = text.trim() === '' ? Number.NaN : Number(text);
    const ms = Number.isNaN(seconds) && /^\d{4}-\d\d-\d\dT/.test(text) ? Date.parse(text) : seconds * 1000;
    if (Number.isNaN(ms) || Math.abs(ms) > MAX_TIME)
      throw new ApiFailure(
        'bad_data',
        `invalid parameter ${JSON.stringify(name)}: cannot parse ${JSON.stringify(text)} to a valid timestamp`,
      );
    return Math.round(ms);
  }

  /** Milliseconds of a duration, in seconds or as `1m`. Raises ApiFailure. */
  duration(name: string, preset?: number): number {
    const text = this.text(name);
    if (text === '' && preset !== undefined) return preset;
    const seconds = text.trim() === '' ? Number.NaN : Number(text);
    const ms = Number.isNaN(seconds) ? durationMs(text) : seconds * 1000;
    if (ms === undefined || !Number.isFinite(ms))
      throw new ApiFailure(
        'bad_data',
        `invalid parameter ${JSON.stringify(name)}: cannot parse ${JSON.stringify(text)} to a valid duration`,
      );
    return Math.round(ms);
  }

  /** A count from 0; 0: no limit. Raises ApiFailure. */
  limit(name: string): number {
    const text = this.text(name);
    if (text === '') return 0;
    if (!/^\d{1,9}$/.test(text))
      throw new ApiFailure(
        'bad_data',
        `invalid parameter ${JSON.stringify(name)}: ${JSON.stringify(text)} is not a count`,
      );
    return Number(text);
  }
}
