import type { Graph, GraphNode, ObjectName } from '../../src/api.ts';

/** The name that a node is known by. */
export function nodeTitle(node: GraphNode): string {
  switch (node.kind) {
    case 'service':
    case 'serviceEntry':
      return node.service ?? node.id;
    case 'workload':
      return node.workload ?? node.app ?? node.id;
    case 'app':
    case 'gateway':
      return node.app ?? node.workload ?? node.service ?? node.id;
    case 'unknown':
      return node.app ?? node.workload ?? 'unknown';
  }
}

/** The object whose page tells more about a node. */
export function nodeObject(node: GraphNode): ObjectName | undefined {
  const { namespace } = node;
  switch (node.kind) {
    case 'service':
      return node.service === undefined ? undefined : { kind: 'Service', namespace, name: node.service };
    case 'workload':
      return node.workload === undefined ? undefined : { kind: 'Workload', namespace, name: node.workload };
    case 'gateway':
      return node.workload !== undefined
        ? { kind: 'Workload', namespace, name: node.workload }
        : node.app === undefined
          ? undefined
          : { kind: 'App', namespace, name: node.app };
    case 'app':
      return node.app === undefined ? undefined : { kind: 'App', namespace, name: node.app };
    case 'serviceEntry':
    case 'unknown':
      return undefined;
  }
}

/** A node's name with its version, by the id of the node. */
export const titleOf = (graph: Graph, id: string): string => {
  const node = graph.nodes.find((each) => each.id === id);
  return node ? [nodeTitle(node), node.version].filter(Boolean).join(' ') : id;
};
