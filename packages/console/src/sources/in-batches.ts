/** Does something for each item, so many at a time: a server that is asked a hundred things at once answers none of them soon. */
export async function inBatches<A, B>(
  items: readonly A[],
  work: (item: A) => Promise<B>,
  atOnce = 10,
): Promise<readonly B[]> {
  const results = new Array<B>(items.length);
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < items.length) {
      const at = next++;
      results[at] = await work(items[at] as A);
    }
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, items.length) }, worker));
  return results;
}
