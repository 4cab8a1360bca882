/** A node of the tree of remembered results: one level for each input of the key. */
interface MemoNode<R> {
  objects: WeakMap<object, MemoNode<R>> | undefined;
  primitives: Map<unknown, MemoNode<R>> | undefined;
  result: { readonly value: R } | undefined;
}

function node<R>(): MemoNode<R> {
  return { objects: undefined, primitives: undefined, result: undefined };
}

function step<R>(from: MemoNode<R>, key: unknown): MemoNode<R> {
  if ((typeof key === 'object' && key !== null) || typeof key === 'function') {
    from.objects ??= new WeakMap();
    let next = from.objects.get(key);
    if (next === undefined) {
      next = node();
      from.objects.set(key, next);
    }
    return next;
  }
  from.primitives ??= new Map();
  let next = from.primitives.get(key);
  if (next === undefined) {
    next = node();
    from.primitives.set(key, next);
  }
  return next;
}

/**
 * Remembers the results of a pure function by the identity of what it may read: `inputs` lists every value that the function looks at (objects by
 * identity, primitives by value). The first input must be an object: when it goes away, so do the results. A function that reads only its argument
 * and whose `inputs` covers that argument cannot return a stale or foreign result (design, rule 1).
 */
export function memoByInputs<A, R>(
  inputs: (argument: A) => readonly [object, ...unknown[]],
  compute: (argument: A) => R,
): (argument: A) => R {
  const root = node<R>();
  return (argument) => {
    let at = root;
    for (const input of inputs(argument)) {
      at = step(at, input);
    }
    at.result ??= { value: compute(argument) };
    return at.result.value;
  };
}
