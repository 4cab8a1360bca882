import { useEffect, useState } from 'preact/hooks';
import { isAbort, messageOf } from '../state/request.ts';
import { underWay } from '../state/resource.ts';
import type { Window } from './interpolate.ts';
import type { Panel, Target } from './model.ts';
import { type Answer, askInstant, askRange } from './prometheus.ts';

export interface TargetData {
  readonly target: Target;
  readonly answers: readonly Answer[];
}

export interface PanelData {
  readonly data: readonly TargetData[] | undefined;
  readonly error: string | undefined;
  readonly loading: boolean;
}

const instantTypes = new Set(['table', 'table-old', 'bargauge', 'piechart', 'barchart']);

/** Requests of all panels wait in one line: a dashboard does not ask everything at once. */
let running = 0;
const waiting: (() => void)[] = [];
const atOnce = 6;

async function inTurn<T>(work: () => Promise<T>): Promise<T> {
  if (running >= atOnce) await new Promise<void>((resolve) => waiting.push(resolve));
  running += 1;
  try {
    return await work();
  } finally {
    running -= 1;
    waiting.shift()?.();
  }
}

/** Asks what a panel shows once it has been seen; `replace` puts variables into its queries. */
export function usePanel(panel: Panel, window: Window, visible: boolean, replace: (expr: string) => string): PanelData {
  const [state, setState] = useState<PanelData>({ data: undefined, error: undefined, loading: true });
  const queries = panel.targets.map((target) => replace(target.expr));
  const key = `${queries.join('\n')} ${window.from} ${window.to} ${window.step} ${visible}`;
  // `key` stands for everything that is asked.
  useEffect(() => {
    if (!visible || panel.targets.length === 0) return;
    const abort = new AbortController();
    setState((before) => ({ ...before, loading: true }));
    underWay.value += 1;
    Promise.all(
      panel.targets.map(async (target, index): Promise<TargetData> => {
        const expr = queries[index] ?? '';
        const instant =
          target.instant || (instantTypes.has(panel.type) && target.format === 'table') || panel.type === 'table';
        const answers = await inTurn(() =>
          instant ? askInstant(expr, window.to, abort.signal) : askRange(expr, window, abort.signal),
        );
        return { target, answers };
      }),
    )
      .then((data) => setState({ data, error: undefined, loading: false }))
      .catch((error: unknown) => {
        if (!isAbort(error)) setState({ data: undefined, error: messageOf(error), loading: false });
      })
      .finally(() => {
        underWay.value -= 1;
      });
    return () => abort.abort();
  }, [key]);
  return state;
}
