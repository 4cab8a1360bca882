import type { JSX } from 'preact';
import type { Badge, GraphNode, NodeKind } from '../../src/api.ts';
import { percent, rate } from '../state/format.ts';
import { iconShape, type IconName } from '../parts/icons.tsx';
import { t } from '../texts.ts';
import { card, type Point } from './layout.ts';
import type { Detail } from './camera.ts';
import { nodeTitle } from './names.ts';

export const kindIcon: Readonly<Record<NodeKind, IconName>> = {
  app: 'app',
  workload: 'workload',
  service: 'service',
  serviceEntry: 'cloud',
  gateway: 'gateway',
  unknown: 'unknown',
};

export const badgeIcon: Readonly<Record<Badge, IconName>> = {
  'virtual-service': 'split',
  'circuit-breaker': 'bolt',
  'fault-injection': 'fault',
  'traffic-shifting': 'compare',
  'request-timeout': 'clock',
  mirroring: 'mirror',
  'missing-sidecar': 'bare',
  gateway: 'gateway',
  external: 'cloud',
  dead: 'error',
};

/** Characters of a title that are shown at most, and from how many on they are set narrower; pixels that there are for them. */
const room = {
  most: 24,
  narrow: { full: 16, name: 13 },
  width: { full: card.width - 52, name: card.width - 26 },
} as const;
const clipped = (text: string, most: number) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);

export interface NodeCardProps {
  readonly node: GraphNode;
  readonly at: Point;
  readonly detail: Detail;
  readonly boxed: boolean;
  readonly showNamespace: boolean;
  readonly showBadges: boolean;
  readonly tone: 'plain' | 'selected' | 'near' | 'dim' | 'found';
  readonly tabStop: boolean;
}

export const nodeLabel = (node: GraphNode): string =>
  t.graph.nodeLabel(
    t.graph.kinds[node.kind],
    [nodeTitle(node), node.version].filter(Boolean).join(' '),
    node.namespace,
    t.common.states[node.health.state],
    rate(node.incoming.requestsPerSecond),
    percent(node.incoming.errorRate),
  );

/** A node of the graph: what it is, its version, its load and its health; less of it the farther away it is. */
export function NodeCard(props: NodeCardProps): JSX.Element {
  const { node, at, detail } = props;
  const title = props.boxed ? (node.version ?? nodeTitle(node)) : nodeTitle(node);
  const second = props.boxed
    ? node.workload?.startsWith(node.app ?? ' ')
      ? ''
      : (node.workload ?? '')
    : [node.version, props.showNamespace && node.namespace !== title ? node.namespace : undefined]
        .filter(Boolean)
        .join(' · ');
  const tcp = node.incoming.tcpReceivedBytesPerSecond + node.incoming.tcpSentBytesPerSecond;
  const load =
    node.incoming.requestsPerSecond > 0 ? `${rate(node.incoming.requestsPerSecond)}/s` : tcp > 0 ? 'TCP' : '';
  const errors = node.incoming.errorRate > 0 ? percent(node.incoming.errorRate) : '';
  return (
    // A button of HTML cannot stand in a drawing.
    <g
      class={`node ${node.health.state} ${node.kind} ${props.tone}`}
      transform={`translate(${at.x - card.width / 2} ${at.y - card.height / 2})`}
      role="button"
      tabindex={props.tabStop ? 0 : -1}
      aria-label={nodeLabel(node)}
      aria-pressed={props.tone === 'selected'}
      data-node={node.id}
    >
      <rect class="body" width={card.width} height={card.height} rx={node.kind === 'service' ? card.height / 2 : 8} />
      {detail === 'shape' ? (
        <rect
          class="fill"
          x={0}
          y={0}
          width={card.width}
          height={card.height}
          rx={node.kind === 'service' ? card.height / 2 : 8}
        />
      ) : (
        <>
          {detail === 'full' && (
            <>
              <rect class="stripe" x={9} y={11} width={28} height={28} rx={node.kind === 'service' ? 14 : 7} />
              <path class="kind" d={iconShape(kindIcon[node.kind])} transform="translate(15 17)" />
            </>
          )}
          <text
            class="title"
            x={detail === 'full' ? 44 : 14}
            y={detail === 'name' ? 33 : second === '' && load === '' ? 30 : 22}
            {...(title.length > room.narrow[detail]
              ? { textLength: room.width[detail], lengthAdjust: 'spacingAndGlyphs' as const }
              : {})}
          >
            {clipped(title, room.most)}
          </text>
          {detail === 'full' && (
            <text class="second" x={44} y={38}>
              {load !== '' && <tspan class="load">{load}</tspan>}
              {errors !== '' && <tspan class={node.incoming.errorRate >= 0.1 ? 'bad' : 'warn'}>{` ${errors}`}</tspan>}
              {second !== '' && (
                <tspan>{`${load === '' ? '' : '  '}${clipped(second, 21 - load.length - errors.length)}`}</tspan>
              )}
            </text>
          )}
          {props.showBadges && node.badges.length > 0 && (
            <g class="badges" transform={`translate(${card.width - 8 - node.badges.length * 17} -8)`}>
              {node.badges.map((badge, index) => (
                <g key={badge} transform={`translate(${index * 17} 0)`} class={`badge ${badge}`}>
                  <title>{t.graph.badges[badge]}</title>
                  <rect width={16} height={16} rx={5} />
                  <path d={iconShape(badgeIcon[badge])} transform="translate(3 3) scale(.625)" />
                </g>
              ))}
            </g>
          )}
        </>
      )}
    </g>
  );
}
