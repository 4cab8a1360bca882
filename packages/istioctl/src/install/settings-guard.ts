import type { Json } from '@istio-ts/charts';
import { OperatorError } from './failure.ts';
import { joinPath } from './settings-report.ts';
import { forbiddenName } from './set-path.ts';

/** Far more than the largest installation says, and small enough to be rendered in a moment. */
const limits = { values: 100_000, characters: 8 << 20, depth: 64 };

interface Size {
  readonly values: number;
  readonly characters: number;
}

/**
 * Refuses settings that would only exhaust the process or change it: too many values once repeated ones (YAML aliases) are written out, nested too
 * deeply, names that mean something to JavaScript or that hold line breaks. Each branch is visited once, however often it is repeated. Raises
 * OperatorError that begins with `where` and names the path.
 */
export function guardSettings(settings: Json, where: string): void {
  const sizes = new Map<object, Size>();
  const measure = (value: Json, path: string, depth: number): Size => {
    if (typeof value === 'string') return { values: 1, characters: value.length };
    if (typeof value !== 'object' || value === null) return { values: 1, characters: 8 };
    const known = sizes.get(value);
    if (known !== undefined) return known;
    if (depth > limits.depth)
      throw new OperatorError(`${where}: ${shorten(path)}: nested deeper than ${limits.depth} levels`);
    let values = 1;
    let characters = 0;
    const add = (child: Json, at: string): void => {
      const size = measure(child, at, depth + 1);
      values += size.values;
      characters += size.characters;
      if (values > limits.values)
        throw new OperatorError(
          `${where}: ${shorten(at)}: more than ${limits.values} values${sizes.size < limits.values / 10 ? ' once repeated ones (YAML aliases) are written out' : ''}`,
        );
      if (characters > limits.characters)
        throw new OperatorError(`${where}: ${shorten(at)}: more than ${limits.characters >> 20} MiB of text`);
    };
    if (Array.isArray(value))
      for (const [index, item] of (value as readonly Json[]).entries()) add(item, `${path}[${index}]`);
    else
      for (const [key, child] of Object.entries(value)) {
        if (key === forbiddenName)
          throw new OperatorError(`${where}: ${shorten(joinPath(path, key))}: no setting is called ${forbiddenName}`);
        if (/[\x00-\x1f\x7f\u0085\u2028\u2029]/.test(key))
          throw new OperatorError(
            `${where}: ${shorten(path)}: the name ${JSON.stringify(shorten(key))} holds a line break or control character`,
          );
        characters += key.length;
        add(child, joinPath(path, key));
      }
    const size = { values, characters };
    sizes.set(value, size);
    return size;
  };
  measure(settings, '', 0);
}

const shorten = (text: string): string =>
  text.length > 120 ? `${text.slice(0, 117)}...` : text === '' ? 'spec' : text;
