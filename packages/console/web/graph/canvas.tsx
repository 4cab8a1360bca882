import type { JSX } from 'preact';
import { useCallback, useEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { Graph } from '../../src/api.ts';
import { Icon } from '../parts/icons.tsx';
import { t } from '../texts.ts';
import { type Camera, detailAt, fitting, neighbour, placeOf, region, showing, zoomed } from './camera.ts';
import type { Layout } from './layout.ts';
import type { Found } from './query.ts';
import { Scene, type SceneOptions } from './scene.tsx';

const directions: Readonly<Record<string, 'left' | 'right' | 'up' | 'down'>> = {
  ArrowLeft: 'left',
  ArrowRight: 'right',
  ArrowUp: 'up',
  ArrowDown: 'down',
};

/** The drawing: pan by dragging, zoom by the wheel, everything also by keys. */
export function Canvas(props: {
  readonly graph: Graph;
  readonly layout: Layout;
  readonly options: SceneOptions;
  readonly found: Found | undefined;
  readonly selected: string | undefined;
  /** Pixels on the right that something lies over. */
  readonly inset: number;
  readonly onSelect: (id: string | undefined) => void;
}): JSX.Element {
  const { graph, layout, options, found, selected, inset, onSelect } = props;
  const svg = useRef<SVGSVGElement>(null);
  const [size, setSize] = useState({ width: 0, height: 0 });
  const [camera, setCamera] = useState<Camera>({ x: 0, y: 0, k: 1 });
  const [hovered, setHovered] = useState<string | undefined>(undefined);
  const [focused, setFocused] = useState<string | undefined>(undefined);
  const wantsFocus = useRef(false);
  const drag = useRef<{ x: number; y: number; moved: boolean } | undefined>(undefined);
  const fitted = useRef<string>('');

  useEffect(() => {
    const element = svg.current;
    if (!element) return;
    const measure = () => setSize({ width: element.clientWidth, height: element.clientHeight });
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  // A view that a person has chosen is not taken away; one that shows everything goes on doing so.
  const chosen = useRef(false);
  const fit = useCallback(() => {
    chosen.current = false;
    const room = { top: size.height > 400 ? 44 : 0, right: 12, left: 44 };
    const whole = fitting(layout, size.width, size.height, { ...room, right: inset > 0 ? inset : room.right });
    const at = inset > 0 && selected !== undefined ? placeOf(layout, selected) : undefined;
    if (!at || detailAt(whole.k, graph.nodes.length) === 'full') {
      setCamera(whole);
      return;
    }
    // Beside the panel there is not room enough to read the whole graph: what the panel is about is kept in view instead.
    const wide = fitting(layout, size.width, size.height, room);
    setCamera(showing(wide, at, size.width - inset, size.height, 150));
  }, [layout, size, inset, selected, graph.nodes.length]);
  const move = (change: (before: Camera) => Camera) => {
    chosen.current = true;
    setCamera(change);
  };
  // A graph that is new to the eye is shown whole; one that only grew a little stays where it is.
  useEffect(() => {
    if (size.width === 0) return;
    const shape = `${Math.round(layout.width / 200)} ${Math.round(layout.height / 200)} ${Math.round(size.width / 80)} ${Math.round(size.height / 80)}`;
    if (fitted.current === shape && chosen.current) return;
    fitted.current = shape;
    fit();
  }, [layout, size, fit]);
  // The wheel's listener must be able to keep the page from scrolling, which attributes cannot ask for.
  useEffect(() => {
    const element = svg.current;
    if (!element) return;
    const wheel = (event: WheelEvent) => {
      event.preventDefault();
      const box = element.getBoundingClientRect();
      const at = { x: event.clientX - box.left, y: event.clientY - box.top };
      move((before) => zoomed(before, Math.exp(-event.deltaY * (event.ctrlKey ? 0.01 : 0.0016)), at));
    };
    element.addEventListener('wheel', wheel, { passive: false });
    return () => element.removeEventListener('wheel', wheel);
  }, []);
  const stop =
    focused !== undefined && layout.nodes[focused]
      ? focused
      : selected !== undefined && layout.nodes[selected]
        ? selected
        : graph.nodes[0]?.id;
  useEffect(() => {
    if (!wantsFocus.current || stop === undefined) return;
    wantsFocus.current = false;
    svg.current?.querySelector<SVGGElement>(`[data-node="${CSS.escape(stop)}"]`)?.focus({ preventScroll: true });
  }, [stop, camera]);

  const middle = { x: size.width / 2, y: size.height / 2 };
  const keys = (event: KeyboardEvent) => {
    const direction = directions[event.key];
    if (direction && event.shiftKey) {
      const step = 80;
      move((before) => ({
        ...before,
        x: before.x + (direction === 'left' ? step : direction === 'right' ? -step : 0),
        y: before.y + (direction === 'up' ? step : direction === 'down' ? -step : 0),
      }));
    } else if (direction && stop !== undefined) {
      const along = direction === 'left' || direction === 'right';
      const linked = new Set(
        along
          ? graph.edges.flatMap(({ source, target }) => (source === stop ? [target] : target === stop ? [source] : []))
          : [],
      );
      const next = neighbour(layout, stop, direction, linked);
      const at = next === undefined ? undefined : layout.nodes[next];
      if (next !== undefined && at) {
        wantsFocus.current = true;
        setFocused(next);
        move((before) => showing(before, at, size.width, size.height));
      }
    } else if (event.key === '+' || event.key === '=') move((before) => zoomed(before, 1.25, middle));
    else if (event.key === '-') move((before) => zoomed(before, 0.8, middle));
    else if (event.key === '0') fit();
    else if (event.key === 'Enter' || event.key === ' ') onSelect(stop === selected ? undefined : stop);
    else if (event.key === 'Escape') onSelect(undefined);
    else return;
    event.preventDefault();
  };
  const thing = (target: EventTarget | null): string | undefined => {
    if (!(target instanceof Element)) return undefined;
    const element = target.closest<SVGElement>('[data-node],[data-edge]');
    return element?.dataset.node ?? element?.dataset.edge;
  };

  const detail = detailAt(camera.k, graph.nodes.length);
  const shown = region(camera, size.width, size.height);
  const regionKey = `${Math.round(shown.x)} ${Math.round(shown.y)} ${Math.round(shown.width)} ${Math.round(shown.height)}`;
  // While the view is dragged only the transform changes: the same drawing is handed on and not compared again.
  // `regionKey` stands for `shown`.
  const scene = useMemo(
    () => (
      <Scene
        {...options}
        graph={graph}
        layout={layout}
        region={shown}
        detail={detail}
        selected={selected}
        hovered={hovered}
        focused={stop}
        found={found}
      />
    ),
    [options, graph, layout, regionKey, detail, selected, hovered, stop, found],
  );

  return (
    <div class="canvas">
      {/* The keys belong to the buttons inside */}
      <svg
        ref={svg}
        role="group"
        aria-label={t.graph.canvas(graph.nodes.length, graph.edges.length)}
        class={`graph detail-${detail} ${camera.k < 0.85 ? 'far' : ''}`}
        onKeyDown={keys}
        onPointerDown={(event) => {
          if (event.button !== 0) return;
          drag.current = { x: event.clientX, y: event.clientY, moved: false };
        }}
        onPointerMove={(event) => {
          const from = drag.current;
          if (!from) {
            if (graph.nodes.length <= 150) setHovered(thing(event.target));
            return;
          }
          const dx = event.clientX - from.x;
          const dy = event.clientY - from.y;
          if (!from.moved && Math.abs(dx) + Math.abs(dy) < 4) return;
          if (!from.moved) event.currentTarget.setPointerCapture(event.pointerId);
          drag.current = { x: event.clientX, y: event.clientY, moved: true };
          move((before) => ({ ...before, x: before.x + dx, y: before.y + dy }));
        }}
        onPointerUp={() => {
          // The click that ends a drag is not one.
          const ended = drag.current;
          setTimeout(() => {
            if (drag.current === ended) drag.current = undefined;
          });
        }}
        onPointerLeave={() => setHovered(undefined)}
        onClick={(event) => {
          if (drag.current?.moved) return;
          const id = thing(event.target);
          if (id !== undefined && layout.nodes[id]) setFocused(id);
          onSelect(id === selected ? undefined : id);
        }}
      >
        <defs>
          {(['ok', 'warn', 'bad', 'idle', 'tcp'] as const).map((state) => (
            <marker
              key={state}
              id={`arrow-${state}`}
              class={`arrow ${state}`}
              viewBox="0 0 8 8"
              refX="1"
              refY="4"
              markerWidth="8"
              markerHeight="8"
              markerUnits="userSpaceOnUse"
              orient="auto"
            >
              <path d="M0 0.5 8 4 0 7.5z" />
            </marker>
          ))}
        </defs>
        <g transform={`translate(${camera.x.toFixed(1)} ${camera.y.toFixed(1)}) scale(${camera.k.toFixed(4)})`}>
          {scene}
        </g>
      </svg>
      <div class="canvas-tools" role="group" aria-label={t.graph.view}>
        <button
          type="button"
          class="button icon"
          aria-label={t.graph.zoomIn}
          title={t.graph.zoomIn}
          onClick={() => move((before) => zoomed(before, 1.3, middle))}
        >
          <Icon name="plus" />
        </button>
        <button
          type="button"
          class="button icon"
          aria-label={t.graph.zoomOut}
          title={t.graph.zoomOut}
          onClick={() => move((before) => zoomed(before, 0.77, middle))}
        >
          <Icon name="minus" />
        </button>
        <button type="button" class="button icon" aria-label={t.graph.fit} title={t.graph.fit} onClick={fit}>
          <Icon name="fit" />
        </button>
      </div>
    </div>
  );
}
