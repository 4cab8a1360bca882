import { comparisons, type Node, setOperators, type ValueType } from './ast.ts';
import { QueryError } from './errors.ts';
import { signatures } from './functions/signatures.ts';

const shown: Readonly<Record<ValueType, string>> = {
  scalar: 'scalar',
  vector: 'instant vector',
  matrix: 'range vector',
  string: 'string',
};

/** What an expression evaluates to. */
export function typeOf(node: Node): ValueType {
  switch (node.kind) {
    case 'number':
      return 'scalar';
    case 'string':
      return 'string';
    case 'vectorSelector':
    case 'aggregate':
      return 'vector';
    case 'matrixSelector':
    case 'subquery':
      return 'matrix';
    case 'minus':
      return typeOf(node.inner);
    case 'call':
      return signatures[node.name]?.returns ?? 'vector';
    case 'binary':
      return typeOf(node.left) === 'scalar' && typeOf(node.right) === 'scalar' ? 'scalar' : 'vector';
    default:
      return node satisfies never;
  }
}

function expect(node: Node, type: ValueType, where: string): void {
  const found = typeOf(node);
  if (found !== type) throw new QueryError(`expected type ${shown[type]} in ${where}, got ${shown[found]}`);
}

/** Raises QueryError where an operand or argument has a type that does not fit. */
export function checkTypes(node: Node): void {
  switch (node.kind) {
    case 'number':
    case 'string':
    case 'vectorSelector':
    case 'matrixSelector':
      return;
    case 'subquery':
      checkTypes(node.inner);
      expect(node.inner, 'vector', 'subquery');
      return;
    case 'minus': {
      checkTypes(node.inner);
      const type = typeOf(node.inner);
      if (type !== 'scalar' && type !== 'vector')
        throw new QueryError(
          `unary expression only allowed on expressions of type scalar or instant vector, got ${shown[type]}`,
        );
      return;
    }
    case 'call': {
      const signature = signatures[node.name];
      if (!signature) throw new QueryError(`the function ${node.name} is not supported by this store`);
      const { args, optional = 0, variadic = false } = signature;
      const least = args.length - optional;
      if (node.args.length < least || (!variadic && node.args.length > args.length))
        throw new QueryError(
          `expected ${least === args.length && !variadic ? args.length : `at least ${least}`} argument(s) in call to ${JSON.stringify(node.name)}, got ${node.args.length}`,
        );
      for (const [index, arg] of node.args.entries()) {
        checkTypes(arg);
        expect(arg, args[index] ?? args.at(-1) ?? 'vector', `call to function ${JSON.stringify(node.name)}`);
      }
      return;
    }
    case 'aggregate':
      checkTypes(node.inner);
      expect(node.inner, 'vector', 'aggregation expression');
      if (node.parameter) {
        checkTypes(node.parameter);
        expect(node.parameter, node.operator === 'count_values' ? 'string' : 'scalar', 'aggregation parameter');
      }
      return;
    case 'binary': {
      checkTypes(node.left);
      checkTypes(node.right);
      const types = [typeOf(node.left), typeOf(node.right)];
      if (types.some((type) => type !== 'scalar' && type !== 'vector'))
        throw new QueryError('binary expression must contain only scalar and instant vector types');
      const scalars = types.filter((type) => type === 'scalar').length;
      if (scalars > 0 && (setOperators as readonly string[]).includes(node.operator))
        throw new QueryError(`set operator ${JSON.stringify(node.operator)} not allowed in binary scalar expression`);
      if (scalars > 0 && (node.matching.on || node.matching.labels.length > 0))
        throw new QueryError('vector matching only allowed between instant vectors');
      if (scalars === 2 && !node.bool && (comparisons as readonly string[]).includes(node.operator))
        throw new QueryError('comparisons between scalars must use BOOL modifier');
      return;
    }
    default:
      node satisfies never;
  }
}
