import { FunctionError, TemplateExecError } from './errors.ts';
import type { Environment } from './environment.ts';
import { checkArgument, literalMismatch } from './functions.ts';
import {
  type Command,
  commandText,
  type Expression,
  expressionText,
  type Located,
  type Node,
  type Pipeline,
  pipelineText,
  type TemplateTree,
} from './nodes.ts';
import { place } from './place.ts';
import { print } from './print.ts';
import { type GoMap, type GoObject, type GoValue, isTrue, kindOf, sortedKeys, typeName } from './value.ts';
import { Variables } from './variables.ts';

/** Runs a template on `data`. Throws `TemplateExecError`. */
export function execute(tree: TemplateTree, data: GoValue, environment: Environment): string {
  return new Evaluation(tree, data, environment).run();
}

type Flow = 'next' | 'break' | 'continue';
const NO_FINAL = Symbol('no piped value');
class Evaluation {
  private readonly tree: TemplateTree;
  private readonly env: Environment;
  private readonly data: GoValue;
  private out: string[] = [];
  private readonly variables: Variables;

  constructor(tree: TemplateTree, data: GoValue, env: Environment) {
    this.tree = tree;
    this.env = env;
    this.data = data;
    this.variables = new Variables(data);
  }

  run(): string {
    const { usage, limits } = this.env;
    if (++usage.depth > limits.depth) {
      usage.depth--;
      throw new FunctionError(
        `rendering template has a nested reference name: ${this.tree.name}: unable to continue: deeper than ${limits.depth} templates`,
      );
    }
    try {
      this.walk(this.data, this.tree.root);
      return this.out.join('');
    } finally {
      usage.depth--;
    }
  }

  private fail(at: Located, expression: string, reason: string, cause?: unknown): never {
    throw new TemplateExecError(
      { template: at.source.template, ...place(at), executing: this.tree.name, expression },
      reason,
      cause,
    );
  }

  private step(at: Located, expression: () => string): void {
    if (++this.env.usage.steps > this.env.limits.steps)
      this.fail(at, expression(), `template runs for more than ${this.env.limits.steps} steps`);
  }

  private write(at: Located, text: string): void {
    this.env.usage.output += text.length;
    if (this.env.usage.output > this.env.limits.output)
      this.fail(at, '', `output is longer than ${this.env.limits.output} characters`);
    this.out.push(text);
  }

  private walk(dot: GoValue, nodes: readonly Node[]): Flow {
    for (const node of nodes) {
      const flow = this.node(dot, node);
      if (flow !== 'next') return flow;
    }
    return 'next';
  }

  private node(dot: GoValue, node: Node): Flow {
    switch (node.type) {
      case 'text':
        this.write(node, node.text);
        return 'next';
      case 'action': {
        const value = this.pipeline(dot, node.pipeline);
        if (node.pipeline.variables.length === 0)
          this.write(node, value === null || value === undefined ? '<no value>' : print(value));
        return 'next';
      }
      case 'template': {
        const target = this.env.lookup(node.name);
        const expression = `{{template ${JSON.stringify(node.name)}}}`;
        if (target === undefined)
          return this.fail(node, expression, `template ${JSON.stringify(node.name)} not defined`);
        const data = node.pipeline === undefined ? undefined : this.pipeline(dot, node.pipeline);
        try {
          this.write(node, execute(target, data, this.env));
        } catch (error) {
          if (error instanceof FunctionError) this.fail(node, expression, error.message, error);
          throw error;
        }
        return 'next';
      }
      case 'break':
      case 'continue':
        return node.type;
      case 'if':
      case 'with':
      case 'range': {
        const mark = this.variables.depth;
        const flow = node.type === 'range' ? this.range(dot, node) : this.branch(dot, node);
        this.variables.cut(mark);
        return flow;
      }
    }
  }

  private branch(dot: GoValue, node: Node & { readonly type: 'if' | 'with' | 'range' }): Flow {
    const value = this.pipeline(dot, node.pipeline);
    if (isTrue(value)) return this.walk(node.type === 'with' ? value : dot, node.list);
    return node.elseList === undefined ? 'next' : this.walk(dot, node.elseList);
  }

  private range(dot: GoValue, node: Node & { readonly type: 'if' | 'with' | 'range' }): Flow {
    const { pipeline } = node;
    const value = this.pipeline(dot, pipeline);
    const mark = this.variables.depth;
    const visit = (key: GoValue, item: GoValue): boolean => {
      this.step(node, () => pipelineText(pipeline));
      const [first, second] = pipeline.variables;
      if (second !== undefined) {
        if (pipeline.assign) {
          this.variables.assign(first ?? '', key);
          this.variables.assign(second, item);
        } else {
          this.variables.setTop(2, key);
          this.variables.setTop(1, item);
        }
      } else if (first !== undefined) {
        if (pipeline.assign) this.variables.assign(first, item);
        else this.variables.setTop(1, item);
      }
      const flow = this.walk(item, node.list);
      this.variables.cut(mark);
      return flow === 'break';
    };
    let count = 0;
    switch (kindOf(value)) {
      case 'slice':
        for (const [i, item] of (value as readonly GoValue[]).entries()) {
          count++;
          if (visit(i, item)) break;
        }
        break;
      case 'map':
        for (const key of sortedKeys(value as GoMap)) {
          count++;
          if (visit(key, (value as GoMap)[key])) break;
        }
        break;
      case 'int':
        for (let i = 0; i < Number(value); i++) {
          count++;
          if (visit(i, i)) break;
        }
        break;
      case 'object': {
        const object = value as GoObject;
        if (object.options.iterable !== true)
          return this.fail(pipeline, pipelineText(pipeline), `range can't iterate over ${print(value)}`);
        for (const key of sortedKeys(object.fields)) {
          count++;
          if (visit(key, object.fields[key])) break;
        }
        break;
      }
      case 'nil':
      case 'invalid':
        break;
      default:
        return this.fail(pipeline, pipelineText(pipeline), `range can't iterate over ${print(value)}`);
    }
    if (count > 0 || node.elseList === undefined) return 'next';
    return this.walk(dot, node.elseList);
  }

  private pipeline(dot: GoValue, pipeline: Pipeline): GoValue {
    let value: GoValue | typeof NO_FINAL = NO_FINAL;
    for (const command of pipeline.commands) value = this.command(dot, command, value);
    for (const name of pipeline.variables) {
      if (!pipeline.assign) this.variables.declare(name, value);
      else if (!this.variables.assign(name, value)) {
        const last = pipeline.commands.at(-1);
        if (last !== undefined) this.fail(last, commandText(last), `undefined variable: ${name}`);
      }
    }
    return value;
  }

  private command(dot: GoValue, command: Command, final: GoValue): GoValue {
    this.step(command, () => commandText(command));
    const [first, ...args] = command.args;
    if (first === undefined) return undefined;
    switch (first.type) {
      case 'field':
        return this.fields(dot, dot, first, first.names, command, args, final);
      case 'chain': {
        if (first.base.type === 'nil')
          return this.fail(first, expressionText(first), 'indirection through explicit nil');
        return this.fields(dot, this.argument(dot, first.base), first, first.names, command, args, final);
      }
      case 'variable':
        // A variable that holds nil is no value at all for Go, so its fields are none either.
        return this.fields(dot, this.variables.get(first.name) ?? undefined, first, first.names, command, args, final);
      case 'function':
        return this.call(dot, first.name, command, args, final);
      default: {
        if (args.length > 0 || final !== NO_FINAL)
          return this.fail(
            first,
            first.type === 'pipeline' ? commandText(command) : expressionText(first),
            `can't give argument to non-function ${first.type === 'pipeline' ? expressionText(first).replace(/^\((.*)\)$/, '$1') : expressionText(first)}`,
          );
        if (first.type === 'nil') return this.fail(command, commandText(command), 'nil is not a command');
        return this.argument(dot, first);
      }
    }
  }

  private argument(dot: GoValue, node: Expression): GoValue {
    switch (node.type) {
      case 'dot':
        return dot;
      case 'nil':
        return null;
      case 'bool':
      case 'number':
      case 'string':
        return node.value;
      case 'pipeline':
        return this.pipeline(dot, node.pipeline);
      case 'field':
      case 'variable':
      case 'chain':
      case 'function':
        return this.command(dot, { args: [node], pos: node.pos, source: node.source }, NO_FINAL);
    }
  }

  /** Follows `.a.b.c` from `receiver`; only the last name may take arguments, and then it must be a method. */
  private fields(
    dot: GoValue,
    receiver: GoValue,
    node: Expression,
    names: readonly string[],
    command: Command,
    args: readonly Expression[],
    final: GoValue,
  ): GoValue {
    let value = receiver;
    names.forEach((name, i) => {
      const last = i === names.length - 1;
      value = this.field(dot, value, i > 0, node, name, command, last ? args : [], last ? final : NO_FINAL);
    });
    if (names.length === 0 && (args.length > 0 || final !== NO_FINAL))
      return this.fail(command, commandText(command), `can't give argument to non-function ${expressionText(node)}`);
    return value;
  }

  private field(
    dot: GoValue,
    receiver: GoValue,
    /** The receiver came out of a map, so Go knows it only as an interface. */
    element: boolean,
    node: Expression,
    name: string,
    command: Command,
    args: readonly Expression[],
    final: GoValue,
  ): GoValue {
    const hasArguments = args.length > 0 || final !== NO_FINAL;
    const reject = (reason: string): never => this.fail(node, expressionText(node), reason);
    switch (kindOf(receiver)) {
      case 'invalid':
        if (this.env.missingKey === 'error') return reject(`nil data; no entry for key ${JSON.stringify(name)}`);
        return undefined;
      case 'nil':
        return reject(`nil pointer evaluating interface {}.${name}`);
      case 'object': {
        const object = receiver as GoObject;
        const method = object.methods[name];
        if (method !== undefined) {
          const values = args.map((arg) => this.argument(dot, arg));
          if (final !== NO_FINAL) values.push(final);
          try {
            return method(...values);
          } catch (error) {
            if (!(error instanceof FunctionError)) throw error;
            return this.fail(node, commandText(command), `error calling ${name}: ${error.message}`, error);
          }
        }
        if (
          !Object.hasOwn(object.fields, name) &&
          (object.options.lenient === true || object.options.iterable === true)
        )
          return null;
        if (!Object.hasOwn(object.fields, name))
          return reject(`can't evaluate field ${name} in type ${object.typeName}`);
        if (hasArguments) return reject(`${name} has arguments but cannot be invoked as function`);
        return object.fields[name];
      }
      case 'map': {
        if (hasArguments) return reject(`${name} is not a method but has arguments`);
        const map = receiver as GoMap;
        if (Object.hasOwn(map, name)) return map[name];
        if (this.env.missingKey === 'error') return reject(`map has no entry for key ${JSON.stringify(name)}`);
        return this.env.missingKey === 'zero' ? null : undefined;
      }
      default:
        return reject(`can't evaluate field ${name} in type ${element ? 'interface {}' : typeName(receiver)}`);
    }
  }

  private call(dot: GoValue, name: string, command: Command, args: readonly Expression[], final: GoValue): GoValue {
    const fn = this.env.functions[name];
    const expression = () => commandText(command);
    if (fn === undefined) return this.fail(command, expression(), `${JSON.stringify(name)} is not a defined function`);
    const count = args.length + (final === NO_FINAL ? 0 : 1);
    const { params } = fn;
    if (fn.variadic !== undefined ? count < params.length : count !== params.length) {
      const want = fn.variadic !== undefined ? `want at least ${params.length}` : `want ${params.length}`;
      return this.fail(command, name, `wrong number of args for ${name}: ${want} got ${count}`);
    }
    // These two stop at the first argument that decides, so later ones are not evaluated.
    if (name === 'and' || name === 'or') {
      let value: GoValue;
      for (const arg of args) {
        value = this.argument(dot, arg);
        if (isTrue(value) === (name === 'or')) return value;
      }
      return final === NO_FINAL ? value : final;
    }
    const values: GoValue[] = [];
    const check = (value: GoValue, at: Located, text: string): void => {
      const type = params[values.length] ?? fn.variadic ?? 'any';
      try {
        values.push(checkArgument(type, value));
      } catch (error) {
        if (error instanceof FunctionError) this.fail(at, text, error.message, error);
        throw error;
      }
    };
    for (const arg of args) {
      const literal = literalMismatch(params[values.length] ?? fn.variadic ?? 'any', arg);
      if (literal !== undefined) this.fail(arg, expressionText(arg), literal);
      check(this.argument(dot, arg), arg, expressionText(arg));
    }
    if (final !== NO_FINAL) check(final, command, expression());
    try {
      return fn.call(values);
    } catch (error) {
      if (error instanceof RangeError && /call stack|string length/i.test(error.message)) {
        return this.fail(
          command,
          expression(),
          `error calling ${name}: ${/call stack/i.test(error.message) ? 'data is nested too deeply' : 'result is too long'}`,
          error,
        );
      }
      if (!(error instanceof FunctionError) && !(error instanceof TemplateExecError)) throw error;
      return this.fail(command, expression(), `error calling ${name}: ${error.message}`, error);
    }
  }
}
