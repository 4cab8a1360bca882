import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { base } from '../state/base.ts';
import type { Layout, LayoutInput } from './layout.ts';

interface Answer {
  readonly id: number;
  readonly layout?: Layout;
  readonly problem?: string;
}

/** A layout and the graph that it is of; the old one stays until a new one is there. */
export interface Placed {
  readonly layout: Layout | undefined;
  readonly pending: boolean;
  readonly problem: string | undefined;
}

/** Places a graph in another thread, anew only when its nodes or edges are others: figures change without moving anything. */
export function useLayout(input: LayoutInput): Placed {
  const worker = useRef<Worker | undefined>(undefined);
  const asked = useRef(0);
  const [placed, setPlaced] = useState<Placed>({ layout: undefined, pending: true, problem: undefined });
  const key = useMemo(
    () =>
      [
        `lines ${input.lines ?? 1}`,
        ...input.nodes.map(({ id, group, area }) => `${id} ${group ?? ''} ${area ?? ''}`).sort(),
        ...input.edges.map(({ id }) => id).sort(),
      ].join('\n'),
    [input],
  );
  useEffect(() => {
    const made = new Worker(`${base}layout.js`, { type: 'module' });
    worker.current = made;
    made.addEventListener('message', ({ data }: MessageEvent<Answer>) => {
      if (data.id !== asked.current) return;
      setPlaced((before) => ({ layout: data.layout ?? before.layout, pending: false, problem: data.problem }));
    });
    return () => made.terminate();
  }, []);
  // Only other nodes and edges need another layout.
  useEffect(() => {
    asked.current += 1;
    setPlaced((before) => ({ ...before, pending: true }));
    worker.current?.postMessage({ id: asked.current, input });
  }, [key]);
  return placed;
}
