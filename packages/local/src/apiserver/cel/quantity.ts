/** A resource quantity (`1500m`, `2Gi`) as an exact decimal: `digits` times ten to the power of `exponent`. */
export class Quantity {
  readonly digits: bigint;
  readonly exponent: number;

  constructor(digits: bigint, exponent: number) {
    this.digits = digits;
    this.exponent = exponent;
  }

  /** Throws an `Error` for text that is not a quantity. */
  static parse(text: string): Quantity {
    const match = /^([+-]?)(\d{0,64})(?:\.(\d{0,64}))?([numkMGTPE]|[KMGTPE]i|[eE][+-]?\d{1,3})?$/.exec(text);
    const whole = match?.[2] ?? '';
    const fraction = match?.[3] ?? '';
    if (match === null || whole + fraction === '')
      throw new Error(`quantity: ${JSON.stringify(text)} is not a quantity`);
    let digits = BigInt(whole + fraction);
    if (match[1] === '-') digits = -digits;
    let exponent = -fraction.length;
    const suffix = match[4] ?? '';
    if (/^[eE][+-]?\d/.test(suffix)) exponent += Number(suffix.slice(1));
    else if (suffix.endsWith('i')) digits *= 1024n ** BigInt('KMGTPE'.indexOf(suffix.charAt(0)) + 1);
    else if (suffix !== '')
      exponent +=
        ({ n: -9, u: -6, m: -3, k: 3, M: 6, G: 9, T: 12, P: 15, E: 18 } as Record<string, number>)[suffix] ?? 0;
    return new Quantity(digits, exponent);
  }

  #at(exponent: number): bigint {
    return this.digits * 10n ** BigInt(this.exponent - exponent);
  }

  compare(other: Quantity): -1 | 0 | 1 {
    const exponent = Math.min(this.exponent, other.exponent);
    const left = this.#at(exponent);
    const right = other.#at(exponent);
    return left < right ? -1 : left > right ? 1 : 0;
  }

  add(other: Quantity, sign: 1n | -1n = 1n): Quantity {
    const exponent = Math.min(this.exponent, other.exponent);
    return new Quantity(this.#at(exponent) + sign * other.#at(exponent), exponent);
  }

  get sign(): bigint {
    return this.digits > 0n ? 1n : this.digits < 0n ? -1n : 0n;
  }

  get isInteger(): boolean {
    return this.exponent >= 0 || this.digits % 10n ** BigInt(-this.exponent) === 0n;
  }

  get integer(): bigint {
    return this.exponent >= 0 ? this.#at(0) : this.digits / 10n ** BigInt(-this.exponent);
  }

  get float(): number {
    return Number(`${this.digits}e${this.exponent}`);
  }
}
