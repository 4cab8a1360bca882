import { BUILTINS } from './builtins.ts';
import { DEFAULT_LIMITS, type Environment, type Limits, type Usage } from './environment.ts';
import { FunctionError } from './errors.ts';
import { execute } from './evaluate.ts';
import type { FunctionTable } from './functions.ts';
import type { Node, TemplateTree } from './nodes.ts';
import { parse } from './parse.ts';
import type { GoValue } from './value.ts';

export interface TemplateOptions {
  /** Functions beside the built-in ones. A function made for this set may call back into it (`include`, `tpl`). */
  readonly functions?: (set: TemplateSet) => FunctionTable;
  readonly missingKey?: Environment['missingKey'];
  readonly limits?: Partial<Limits>;
}

/** Templates that can call each other by name, and the functions they may use. */
export class TemplateSet {
  private readonly trees: Map<string, TemplateTree>;
  private readonly options: TemplateOptions;
  private readonly functions: FunctionTable;
  private readonly usage: Usage;
  private readonly limits: Limits;

  constructor(options: TemplateOptions = {}, parent?: TemplateSet) {
    this.options = options;
    this.trees = new Map(parent?.trees);
    this.usage = parent?.usage ?? { depth: 0, output: 0, steps: 0 };
    this.limits = { ...DEFAULT_LIMITS, ...options.limits };
    this.functions = Object.assign(Object.create(null), BUILTINS, options.functions?.(this));
  }

  /** Adds a text and everything it defines. A later definition of a name replaces an earlier one unless it is empty. Throws `TemplateParseError`. */
  parse(name: string, text: string): void {
    for (const tree of parse(name, text, (fn) => Object.hasOwn(this.functions, fn))) {
      if (this.trees.has(tree.name) && isEmpty(tree.root)) continue;
      this.trees.set(tree.name, tree);
    }
  }

  has(name: string): boolean {
    return this.trees.has(name);
  }

  /** Runs the template `name`. Throws `TemplateExecError`; `FunctionError` when there is no such template. */
  execute(name: string, data: GoValue): string {
    const tree = this.trees.get(name);
    if (tree === undefined)
      throw new FunctionError(`template: no template ${JSON.stringify(name)} associated with template "gotpl"`);
    if (this.usage.depth === 0) {
      this.usage.output = 0;
      this.usage.steps = 0;
    }
    return execute(tree, data, {
      functions: this.functions,
      missingKey: this.options.missingKey ?? 'default',
      limits: this.limits,
      usage: this.usage,
      lookup: (other) => this.trees.get(other),
    });
  }

  /** A copy that can be extended without changing this set; used by `tpl`. It counts against the same limits. */
  child(): TemplateSet {
    return new TemplateSet(this.options, this);
  }
}

function isEmpty(nodes: readonly Node[]): boolean {
  return nodes.every((node) => node.type === 'text' && /^[ \t\r\n]*$/.test(node.text));
}
