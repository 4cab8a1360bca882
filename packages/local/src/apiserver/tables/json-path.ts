import { isObject } from '../json.ts';

type Step =
  | { readonly kind: 'field'; readonly name: string }
  | { readonly kind: 'index'; readonly index: number }
  | { readonly kind: 'all' }
  | { readonly kind: 'deep'; readonly name: string }
  | { readonly kind: 'filter'; readonly path: readonly Step[]; readonly operator: string; readonly value: unknown };

/** Parses the JSONPath subset of printer columns: `.a.b`, `['a.b']`, `[0]`, `[*]`, `[?(@.x=="y")]`, `..a`. Undefined when malformed. */
export function parseJsonPath(text: string): readonly Step[] | undefined {
  let rest = text
    .trim()
    .replace(/^\{(.*)\}$/, '$1')
    .replace(/^\$/, '');
  const steps: Step[] = [];
  while (rest !== '') {
    let match = /^\.\.([\w-]+)/.exec(rest);
    if (match !== null) steps.push({ kind: 'deep', name: match[1] ?? '' });
    else {
      match = /^\.((?:\\.|[^.[\]])+)/.exec(rest);
      if (match !== null) {
        const name = (match[1] ?? '').replaceAll(/\\(.)/g, '$1');
        steps.push(name === '*' ? { kind: 'all' } : { kind: 'field', name });
      } else {
        match = /^\[\?\(@((?:\.[\w\\.-]+)?)\s*(==|!=|>=|<=|>|<)?\s*(?:"([^"]*)"|'([^']*)'|([\w.-]+))?\)\]/.exec(rest);
        if (match !== null) {
          const path = parseJsonPath(match[1] ?? '');
          if (path === undefined) return undefined;
          const literal = match[3] ?? match[4];
          const bare = match[5];
          const value =
            literal ??
            (bare === 'true' ? true : bare === 'false' ? false : bare === undefined ? undefined : Number(bare));
          steps.push({ kind: 'filter', path, operator: match[2] ?? '', value });
        } else {
          match = /^\[(?:'([^']*)'|"([^"]*)"|(-?\d+)|(\*))\]/.exec(rest);
          if (match === null) return undefined;
          if (match[4] !== undefined) steps.push({ kind: 'all' });
          else if (match[3] !== undefined) steps.push({ kind: 'index', index: Number(match[3]) });
          else steps.push({ kind: 'field', name: match[1] ?? match[2] ?? '' });
        }
      }
    }
    rest = rest.slice(match[0].length);
  }
  return steps;
}

function deep(value: unknown, name: string, found: unknown[]): void {
  if (Array.isArray(value)) for (const item of value) deep(item, name, found);
  else if (isObject(value)) {
    if (value[name] !== undefined) found.push(value[name]);
    for (const item of Object.values(value)) deep(item, name, found);
  }
}

function compared(left: unknown, operator: string, right: unknown): boolean {
  switch (operator) {
    case '':
      return left !== undefined;
    case '==':
      return left === right;
    case '!=':
      return left !== right;
    default: {
      if (typeof left !== 'number' || typeof right !== 'number') return false;
      return operator === '>'
        ? left > right
        : operator === '<'
          ? left < right
          : operator === '>='
            ? left >= right
            : left <= right;
    }
  }
}

/** All values at a path. */
export function evaluate(value: unknown, steps: readonly Step[]): unknown[] {
  let current = [value];
  for (const step of steps) {
    const next: unknown[] = [];
    for (const item of current) {
      switch (step.kind) {
        case 'field':
          if (isObject(item) && item[step.name] !== undefined) next.push(item[step.name]);
          break;
        case 'index':
          if (Array.isArray(item) && item.at(step.index) !== undefined) next.push(item.at(step.index));
          break;
        case 'all':
          if (Array.isArray(item)) next.push(...item);
          else if (isObject(item)) next.push(...Object.values(item));
          break;
        case 'deep':
          deep(item, step.name, next);
          break;
        case 'filter':
          if (Array.isArray(item))
            next.push(...item.filter((one) => compared(evaluate(one, step.path)[0], step.operator, step.value)));
          break;
      }
    }
    current = next;
  }
  return current;
}
