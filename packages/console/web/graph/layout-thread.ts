// The thread that places graphs, so that the page stays quick meanwhile.
import { layoutGraph, type LayoutInput } from './layout.ts';

addEventListener('message', ({ data }: MessageEvent<{ readonly id: number; readonly input: LayoutInput }>) => {
  try {
    postMessage({ id: data.id, layout: layoutGraph(data.input) });
  } catch (error) {
    postMessage({ id: data.id, problem: error instanceof Error ? error.message : String(error) });
  }
});
