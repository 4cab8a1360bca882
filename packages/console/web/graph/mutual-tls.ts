import type { GraphEdge } from '../../src/api.ts';
import { percent } from '../state/format.ts';
import { t } from '../texts.ts';

/** How an edge's traffic is protected; `unknown` where no server's side has reported, which is not the same as plain text. */
export type Encryption = 'all' | 'part' | 'none' | 'unknown';

export function encryptionOf({ mutualTls }: Pick<GraphEdge, 'mutualTls'>): Encryption {
  if (mutualTls === undefined) return 'unknown';
  return mutualTls >= 0.995 ? 'all' : mutualTls < 0.005 ? 'none' : 'part';
}

export function encryptionText(edge: Pick<GraphEdge, 'mutualTls'>): string {
  switch (encryptionOf(edge)) {
    case 'all':
      return t.graph.encrypted;
    case 'part':
      return t.graph.partly(percent(edge.mutualTls ?? 0));
    case 'none':
      return t.graph.plain;
    case 'unknown':
      return t.graph.encryptionUnknown;
  }
}
