import { Environment } from '@marcbachmann/cel-js';

/** A node of a parsed CEL expression, with the places in its text where it begins and ends. */
export interface CelNode {
  readonly op: string;
  readonly args: unknown;
  readonly start: number;
  readonly end: number;
}

let shared: Environment | undefined;

/** Parses a CEL expression. Throws an error whose first line says what is wrong where. */
export function parseCel(text: string): CelNode {
  shared ??= new Environment({ unlistedVariablesAreDyn: true, limits: { maxAstNodes: 2000, maxDepth: 100 } });
  return shared.parse(text).ast as unknown as CelNode;
}

const isNode = (value: unknown): value is CelNode =>
  typeof value === 'object' && value !== null && 'op' in value && 'start' in value;

/** The nodes below a node, in the order of the text. */
export function children({ args }: CelNode): readonly CelNode[] {
  const found = (value: unknown): readonly CelNode[] =>
    isNode(value) ? [value] : Array.isArray(value) ? value.flatMap(found) : [];
  return found(args);
}

/** A path such as `request.headers["x"]`: the name that it begins with and the steps from there; undefined for anything else. */
export function pathOf(node: CelNode): readonly string[] | undefined {
  if (node.op === 'id') return [String(node.args)];
  if (node.op !== '.' && node.op !== '[]') return undefined;
  const [from, step] = node.args as readonly [CelNode, unknown];
  const before = pathOf(from);
  if (before === undefined) return undefined;
  if (node.op === '.') return [...before, String(step)];
  return isNode(step) && step.op === 'value' && typeof step.args === 'string' ? [...before, step.args] : undefined;
}
