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

/**
 * The same, but a result stays only as long as somebody else holds it: for parts of what is encoded once and then let go. Such a result must not be
 * told from an equal one by its identity.
 */
export function memoWhileHeld<A, R extends object>(
  inputs: (argument: A) => readonly [object, ...unknown[]],
  compute: (argument: A) => R,
): (argument: A) => R {
  const slot = memoByInputs(inputs, (): { last: WeakRef<R> | undefined } => ({ last: undefined }));
  return (argument) => {
    const held = slot(argument);
    const known = held.last?.deref();
    if (known !== undefined) return known;
    const made = compute(argument);
    held.last = new WeakRef(made);
    return made;
  };
}
