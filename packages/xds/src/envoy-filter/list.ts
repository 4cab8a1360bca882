import { canonical, merge, type Message, sameAny } from './merge.ts';
import { PATCHED_TYPES, type Patch } from './patch.ts';

/** How a list of named things (filters, routes) is patched. */
export interface ListRules {
  /** Whether an item is the one that the patch speaks of; undefined where it speaks of none in particular. */
  readonly selects: ((item: Message) => boolean) | undefined;
  /** Where an item goes that is to be the last one: before a filter that ends the chain, for example. */
  readonly end: (list: readonly Message[], added: Message) => number;
  /** Merged without a selection only into items that hold the same type. */
  readonly typed: boolean;
}

const insertAt = (list: readonly Message[], at: number, item: Message): readonly Message[] => [
  ...list.slice(0, at),
  item,
  ...list.slice(at),
];

/**
 * Applies a patch to a list; the identical list where it changes nothing (EnvoyFilter reference, Patch.Operation: an insertion without a selected item
 * goes to the front or to the end, one with a selection that is not there does nothing).
 */
export function patchList(list: readonly Message[], patch: Patch, rules: ListRules): readonly Message[] {
  const { operation, value } = patch;
  const { selects } = rules;
  switch (operation) {
    case 'ADD':
      return insertAt(list, rules.end(list, value), value);
    case 'INSERT_FIRST':
      return [value, ...list];
    case 'INSERT_BEFORE':
    case 'INSERT_AFTER': {
      if (selects === undefined)
        return operation === 'INSERT_BEFORE' ? [value, ...list] : insertAt(list, rules.end(list, value), value);
      const at = list.findIndex(selects);
      return at < 0 ? list : insertAt(list, operation === 'INSERT_BEFORE' ? at : at + 1, value);
    }
    case 'REMOVE': {
      if (selects === undefined) return list;
      const kept = list.filter((item) => !selects(item));
      return kept.length === list.length ? list : kept;
    }
    case 'REPLACE': {
      if (selects === undefined) return list;
      const at = list.findIndex(selects);
      return at < 0 ? list : [...list.slice(0, at), value, ...list.slice(at + 1)];
    }
    case 'MERGE':
    case 'MERGE_AND_REPLACE_LIST': {
      let changed = false;
      const merged = list.map((item) => {
        if (selects !== undefined ? !selects(item) : rules.typed && !mayMerge(item, value)) return item;
        if (rules.typed && item.typedConfig !== undefined && value.typedConfig !== undefined)
          if (!sameAny(item.typedConfig, value.typedConfig)) return item;
        changed = true;
        return mergePatch(item, patch);
      });
      return changed ? merged : list;
    }
    default: {
      const unknown: never = operation;
      return unknown;
    }
  }
}

const mayMerge = (item: Message, value: Message): boolean =>
  value.typedConfig !== undefined ? sameAny(item.typedConfig, value.typedConfig) : item.name === value.name;

/** Merges the patch into a message of its type. Raises EncodeError where the result is none. */
export function mergePatch(item: Message, patch: Patch): Message {
  const typeName = PATCHED_TYPES[patch.applyTo];
  const lists = patch.operation === 'MERGE_AND_REPLACE_LIST' ? 'replace' : 'append';
  // Encoding the result shows that it is a message still.
  return canonical(typeName, merge(typeName, item, patch.value, lists));
}
