import type { GoValue } from './value.ts';

/** The variables of one execution, a stack: what a block declares is gone after it. */
export class Variables {
  private readonly stack: { readonly name: string; value: GoValue }[];

  /** `data` is what `$` stands for. */
  constructor(data: GoValue) {
    this.stack = [{ name: '$', value: data }];
  }

  /** How many there are; `cut` goes back to that. */
  get depth(): number {
    return this.stack.length;
  }

  cut(depth: number): void {
    this.stack.length = depth;
  }

  declare(name: string, value: GoValue): void {
    this.stack.push({ name, value });
  }

  /** The value of the innermost variable of this name; undefined where there is none. */
  get(name: string): GoValue {
    return this.stack.findLast((variable) => variable.name === name)?.value;
  }

  /** Gives the innermost variable of this name a value; false where there is none. */
  assign(name: string, value: GoValue): boolean {
    const variable = this.stack.findLast((each) => each.name === name);
    if (variable === undefined) return false;
    variable.value = value;
    return true;
  }

  /** Sets the n-th variable from the top: those that a range's own pipeline declared. */
  setTop(n: number, value: GoValue): void {
    const variable = this.stack.at(-n);
    if (variable !== undefined) variable.value = value;
  }
}
