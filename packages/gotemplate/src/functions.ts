import { FunctionError } from './errors.ts';
import { type Expression, expressionText } from './nodes.ts';
import { type GoMap, type GoValue, kindOf, typeName } from './value.ts';

/** What a parameter of a template function accepts; anything else is refused with Go's words before the function runs. */
export type ParamType = 'any' | 'string' | 'int' | 'float' | 'bool' | 'list' | 'map' | 'reflect';

export interface TemplateFunction {
  readonly params: readonly ParamType[];
  /** Type of any number of further arguments. */
  readonly variadic: ParamType | undefined;
  readonly call: (args: readonly GoValue[]) => GoValue;
}

export type FunctionTable = Readonly<Record<string, TemplateFunction>>;

type TypeOf<P extends ParamType> = P extends 'string'
  ? string
  : P extends 'int' | 'float'
    ? number
    : P extends 'bool'
      ? boolean
      : P extends 'list'
        ? readonly GoValue[]
        : P extends 'map'
          ? GoMap
          : GoValue;
type ArgsOf<P extends readonly ParamType[]> = { [K in keyof P]: TypeOf<P[K]> };

/** A function with a fixed number of parameters. */
export function fn<const P extends readonly ParamType[]>(
  params: P,
  call: (...args: ArgsOf<P>) => GoValue,
): TemplateFunction {
  return { params, variadic: undefined, call: (args) => call(...(args as ArgsOf<P>)) };
}

/** A function whose last parameter repeats. */
export function variadic<const P extends readonly ParamType[], V extends ParamType>(
  params: P,
  rest: V,
  call: (fixed: ArgsOf<P>, rest: readonly TypeOf<V>[]) => GoValue,
): TemplateFunction {
  return {
    params,
    variadic: rest,
    call: (args) => call(args.slice(0, params.length) as ArgsOf<P>, args.slice(params.length) as readonly TypeOf<V>[]),
  };
}

const GO_TYPE: Readonly<Record<ParamType, string>> = {
  any: 'interface {}',
  reflect: 'reflect.Value',
  string: 'string',
  int: 'int',
  float: 'float64',
  bool: 'bool',
  list: '[]interface {}',
  map: 'map[string]interface {}',
};

/** Checks one argument against its parameter; returns the value to pass. Throws `FunctionError`. */
export function checkArgument(type: ParamType, value: GoValue): GoValue {
  if (type === 'any' || type === 'reflect') return value ?? null;
  const kind = kindOf(value);
  if (kind === 'nil' || kind === 'invalid') {
    if (type === 'map') return {};
    if (type === 'list') return [];
    throw new FunctionError(`invalid value; expected ${GO_TYPE[type]}`);
  }
  const fits =
    type === 'list' ? kind === 'slice' : type === 'float' ? kind === 'float' || kind === 'int' : kind === type;
  if (!fits) throw new FunctionError(`wrong type for value; expected ${GO_TYPE[type]}; got ${typeName(value)}`);
  return type === 'float' ? Number((value as { toJSON?: () => number }).toJSON?.() ?? value) : value;
}

/** Why a literal is no argument for a parameter; undefined where it is one, and for what is no literal. Go words this differently from a value of the wrong type. */
export function literalMismatch(type: ParamType, node: Expression): string | undefined {
  if (node.type !== 'number' && node.type !== 'string' && node.type !== 'bool') return undefined;
  const fits: Readonly<Record<ParamType, boolean>> = {
    any: true,
    reflect: true,
    string: node.type === 'string',
    bool: node.type === 'bool',
    int: node.type === 'number' && kindOf(node.value) === 'int',
    float: node.type === 'number',
    list: false,
    map: false,
  };
  if (fits[type]) return undefined;
  if (type === 'list' || type === 'map')
    return `can't handle ${expressionText(node)} for arg of type ${type === 'map' ? 'map[string]interface {}' : '[]interface {}'}`;
  return `expected ${type === 'int' ? 'integer' : type}; found ${expressionText(node)}`;
}
