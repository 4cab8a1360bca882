import type { JSX } from 'preact';
import type { GraphEdge } from '../../src/api.ts';
import { iconShape } from '../parts/icons.tsx';
import { edgeState, edgeWidth } from './labels.ts';
import { encryptionOf } from './mutual-tls.ts';
import type { Layout } from './layout.ts';

export interface EdgeLineProps {
  readonly edge: GraphEdge;
  readonly line: Layout['edges'][string];
  readonly label: readonly string[];
  readonly lock: boolean;
  readonly motion: boolean;
  readonly simple: boolean;
  readonly tone: 'plain' | 'selected' | 'near' | 'dim' | 'found';
}

/** A call: colour by its errors, width by its rate, dots that run as fast as it is busy. */
export function EdgeLine({ edge, line, motion, simple, tone }: EdgeLineProps): JSX.Element {
  const state = edgeState(edge);
  const seconds = Math.max(0.5, 3.2 - Math.log10(1 + edge.traffic.requestsPerSecond * 10));
  return (
    <g class={`edge ${state} ${tone}`} data-edge={edge.id}>
      <path
        class="line"
        d={line.path}
        stroke-width={edgeWidth(edge)}
        marker-end={simple ? undefined : `url(#arrow-${state})`}
      />
      {!simple && <path class="reach" d={line.path} />}
      {motion && state !== 'idle' && (
        <path class="dots" d={line.path} style={{ animationDuration: `${seconds.toFixed(1)}s` }} />
      )}
    </g>
  );
}

const plateLine = 14;

/** The figures of a call on a small plate; drawn after all lines so that none crosses it. */
export function EdgePlate({ edge, line, label, lock, tone }: EdgeLineProps): JSX.Element | null {
  const encryption = encryptionOf(edge);
  const locked = encryption === 'all';
  const sign = lock && encryption !== 'unknown' && (encryption !== 'none' || edgeState(edge) !== 'idle');
  if (label.length === 0 && !sign) return null;
  const indent = sign ? 14 : 0;
  const width = Math.max(...label.map((line) => line.length), 0) * 6.3 + indent + 8;
  const height = Math.max(1, label.length) * plateLine + 3;
  return (
    <g
      class={`plate ${edgeState(edge)} ${tone}`}
      transform={`translate(${line.label.x - width / 2} ${line.label.y - height / 2})`}
      data-edge={edge.id}
    >
      <rect width={width} height={height} rx={8} />
      {sign && (
        <path
          class={locked ? 'lock' : 'lock open'}
          d={iconShape(locked ? 'lock' : 'unlocked')}
          transform="translate(5 3) scale(.68)"
        />
      )}
      {label.map((each, index) => (
        <text key={each} x={indent + (width - indent) / 2} y={12 + index * plateLine}>
          {each}
        </text>
      ))}
    </g>
  );
}
