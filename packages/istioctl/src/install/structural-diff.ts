import { isJsonObject } from '@istio-ts/charts/json';

/** A step on the way to a leaf: a field of an object, an item of a list by the field that identifies it, or one by its place. */
export type Step =
  | { readonly kind: 'field'; readonly field: string }
  | { readonly kind: 'item'; readonly by: string; readonly name: string }
  | { readonly kind: 'index'; readonly index: number };

/** How lists are compared. */
export interface ListComparison {
  /** Fields that may identify items; the first that all items have, each another. */
  readonly identifiers: readonly string[];
  /** Whether lists of unequal lengths without such a field differ as a whole, not item by item. */
  readonly unequalAsWhole: boolean;
}

/** A leaf that differs between two values; `undefined` is absent. */
export interface Difference {
  /** For example `spec.template.spec.containers[name:discovery].image`. */
  readonly path: string;
  readonly before: unknown;
  readonly after: unknown;
}

type Fields = Readonly<Record<string, unknown>>;

/** What identifies the items of a list. */
function identity(items: readonly unknown[], identifiers: readonly string[]): string | undefined {
  if (items.length === 0) return undefined;
  return identifiers.find((field) => {
    const names = items.map((item) => (isJsonObject(item) ? item[field] : undefined));
    return (
      names.every((name) => typeof name === 'string' || typeof name === 'number') &&
      new Set(names).size === names.length
    );
  });
}

/** All leaves that differ, in the order of the first value, then of the second, with the ways to them. */
export function differingLeaves(
  before: unknown,
  after: unknown,
  lists: ListComparison,
  steps: readonly Step[] = [],
): readonly { readonly steps: readonly Step[]; readonly before: unknown; readonly after: unknown }[] {
  const below = (a: unknown, b: unknown, step: Step) => differingLeaves(a, b, lists, [...steps, step]);
  if (before === after) return [];
  if (isJsonObject(before) && isJsonObject(after)) {
    const keys = [...new Set([...Object.keys(before), ...Object.keys(after)])];
    return keys.flatMap((field) =>
      below(
        Object.hasOwn(before, field) ? before[field] : undefined,
        Object.hasOwn(after, field) ? after[field] : undefined,
        { kind: 'field', field },
      ),
    );
  }
  if (Array.isArray(before) && Array.isArray(after)) {
    const by = identity(before, lists.identifiers);
    if (by !== undefined && identity(after, lists.identifiers) === by) {
      const byName = (items: readonly unknown[]) => new Map(items.map((item) => [String((item as Fields)[by]), item]));
      const [a, b] = [byName(before), byName(after)];
      return [...new Set([...a.keys(), ...b.keys()])].flatMap((name) =>
        below(a.get(name), b.get(name), { kind: 'item', by, name }),
      );
    }
    if (before.length === after.length || !lists.unequalAsWhole)
      return Array.from({ length: Math.max(before.length, after.length) }, (_, index) =>
        below(before[index], after[index], { kind: 'index', index }),
      ).flat();
  }
  return [{ steps, before, after }];
}

function pathText(steps: readonly Step[]): string {
  let path = '';
  for (const step of steps)
    switch (step.kind) {
      case 'field':
        path += `${path === '' ? '' : '.'}${step.field.replaceAll('.', '\\.')}`;
        break;
      case 'item':
        path += `[${step.by}:${step.name}]`;
        break;
      case 'index':
        path += `[${step.index}]`;
    }
  return path;
}

const byAnyName: ListComparison = {
  identifiers: ['name', 'mountPath', 'port', 'containerPort'],
  unequalAsWhole: false,
};

/** All leaves that differ, in the order of the first value, then of the second. Lists are compared by the names of their items where they have some. */
export const differences = (before: unknown, after: unknown): readonly Difference[] =>
  differingLeaves(before, after, byAnyName).map(({ steps, ...values }) => ({ path: pathText(steps), ...values }));

/** A value of a difference for people, on one line. */
export const shownValue = (value: unknown): string => (value === undefined ? '(absent)' : JSON.stringify(value));
