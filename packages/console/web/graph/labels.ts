import type { GraphEdge } from '../../src/api.ts';
import { bytesPerSecond, milliseconds, percent, rate } from '../state/format.ts';

/** What can stand on an edge. */
export const edgeLabelKinds = ['rate', 'share', 'errors', 'p50', 'p95', 'p99', 'tcp'] as const;
export type EdgeLabelKind = (typeof edgeLabelKinds)[number];

export const readLabelKinds = (texts: readonly string[]): readonly EdgeLabelKind[] =>
  edgeLabelKinds.filter((kind) => texts.includes(kind));

/** The lines of an edge's label: only what there is to say. */
export function edgeLabel(edge: GraphEdge, kinds: readonly EdgeLabelKind[]): readonly string[] {
  const { traffic } = edge;
  // biome-ignore lint/suspicious/useIterableCallbackReturn: every kind is answered
  return kinds.flatMap((kind): readonly string[] => {
    switch (kind) {
      case 'rate':
        return traffic.requestsPerSecond > 0 ? [`${rate(traffic.requestsPerSecond)}/s`] : [];
      case 'share':
        return edge.share > 0 && edge.share < 1 ? [percent(edge.share)] : [];
      case 'errors':
        return traffic.errorRate > 0 ? [`${percent(traffic.errorRate)} err`] : [];
      case 'p50':
      case 'p95':
      case 'p99': {
        const value = traffic[kind];
        return value === undefined ? [] : [milliseconds(value)];
      }
      case 'tcp': {
        const sum = traffic.tcpSentBytesPerSecond + traffic.tcpReceivedBytesPerSecond;
        return sum > 0 ? [bytesPerSecond(sum)] : [];
      }
    }
  });
}

export type EdgeState = 'ok' | 'warn' | 'bad' | 'idle' | 'tcp';

export function edgeState({ traffic, protocol }: GraphEdge): EdgeState {
  if (protocol === 'tcp') return traffic.tcpSentBytesPerSecond + traffic.tcpReceivedBytesPerSecond > 0 ? 'tcp' : 'idle';
  if (traffic.requestsPerSecond === 0) return 'idle';
  return traffic.errorRate >= 0.1 ? 'bad' : traffic.errorRate >= 0.001 ? 'warn' : 'ok';
}

/** Width of a line in pixels: grows with the logarithm of the rate. */
export function edgeWidth({ traffic, protocol }: GraphEdge): number {
  const load =
    protocol === 'tcp'
      ? (traffic.tcpSentBytesPerSecond + traffic.tcpReceivedBytesPerSecond) / 1000
      : traffic.requestsPerSecond;
  return Math.min(5, 1.3 + Math.log10(1 + load) * 1.1);
}
