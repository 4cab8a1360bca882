// The language of "find" and "hide": comparisons joined by and, or, not; a word alone is a part of a name or a state.
import type { Graph, GraphEdge, GraphNode } from '../../src/api.ts';
import { nodeTitle } from './names.ts';

/** A query that cannot be read; `at` is where in the text. */
export class QueryError extends Error {
  readonly at: number;
  constructor(message: string, at: number) {
    super(message);
    this.at = at;
  }
}

type Operator = '=' | '!=' | '<' | '<=' | '>' | '>=' | '~';

type Query =
  | { readonly kind: 'and' | 'or'; readonly left: Query; readonly right: Query }
  | { readonly kind: 'not'; readonly of: Query }
  | { readonly kind: 'compare'; readonly field: string; readonly operator: Operator; readonly value: string }
  | { readonly kind: 'word'; readonly word: string };

interface Token {
  readonly text: string;
  readonly at: number;
}

function tokens(text: string): readonly Token[] {
  return [...text.matchAll(/"[^"]*"|<=|>=|!=|[=<>~()]|[^\s=<>~()!]+|!/g)].map((found) => ({
    text: found[0],
    at: found.index,
  }));
}

const operators: ReadonlySet<string> = new Set(['=', '!=', '<', '<=', '>', '>=', '~']);
const isOperator = (text: string | undefined): text is Operator => text !== undefined && operators.has(text);

/** Values of fields of nodes and edges; percent fields are 0 to 100. */
const nodeFields: Readonly<Record<string, (node: GraphNode) => string | number | undefined>> = {
  name: nodeTitle,
  namespace: ({ namespace }) => namespace,
  kind: ({ kind }) => kind,
  app: ({ app }) => app,
  version: ({ version }) => version,
  workload: ({ workload }) => workload,
  service: ({ service }) => service,
  badge: ({ badges }) => badges.join(' '),
  health: ({ health }) => health.state,
  rps: ({ incoming }) => incoming.requestsPerSecond,
  errors: ({ incoming }) => incoming.errorRate * 100,
  p95: ({ incoming }) => incoming.p95,
};

const edgeFields: Readonly<Record<string, (edge: GraphEdge) => string | number | undefined>> = {
  protocol: ({ protocol }) => protocol,
  rps: ({ traffic }) => traffic.requestsPerSecond,
  errors: ({ traffic }) => traffic.errorRate * 100,
  p50: ({ traffic }) => traffic.p50,
  p95: ({ traffic }) => traffic.p95,
  p99: ({ traffic }) => traffic.p99,
  tcp: ({ traffic }) => traffic.tcpSentBytesPerSecond + traffic.tcpReceivedBytesPerSecond,
  mtls: ({ mutualTls }) => (mutualTls === undefined ? undefined : mutualTls * 100),
  share: ({ share }) => share * 100,
  code: ({ codes }) => Object.keys(codes).join(' '),
};

export const queryFields: readonly string[] = [...new Set([...Object.keys(nodeFields), ...Object.keys(edgeFields)])];
const others: Readonly<Record<string, string>> = { ns: 'namespace', rate: 'rps', error: 'errors', latency: 'p95' };

/** Raises QueryError. */
export function parseQuery(text: string): Query | undefined {
  const list = tokens(text);
  let position = 0;
  const peek = () => list[position]?.text;
  const lower = () => peek()?.toLowerCase();
  const fail = (message: string): never => {
    throw new QueryError(message, list[position]?.at ?? text.length);
  };
  const unquoted = (word: string) => word.replace(/^"|"$/g, '');
  const primary = (): Query => {
    const word = peek();
    if (word === undefined) return fail('Something is missing at the end.');
    if (word === '(') {
      position += 1;
      const inside = either();
      if (peek() !== ')') return fail('A closing bracket is missing.');
      position += 1;
      return inside;
    }
    if (lower() === 'not' || word === '!') {
      position += 1;
      return { kind: 'not', of: primary() };
    }
    if (isOperator(word) || word === ')') return fail(`“${word}” is not expected here.`);
    position += 1;
    const operator = peek();
    if (!isOperator(operator)) return { kind: 'word', word: unquoted(word).toLowerCase() };
    const field = others[word.toLowerCase()] ?? word.toLowerCase();
    if (!queryFields.includes(field)) {
      position -= 1;
      return fail(`There is no field “${word}”. There are: ${queryFields.join(', ')}.`);
    }
    position += 1;
    const value = peek();
    if (value === undefined || isOperator(value) || value === ')' || value === '(')
      return fail(`A value is missing after “${operator}”.`);
    position += 1;
    return { kind: 'compare', field, operator, value: unquoted(value).toLowerCase() };
  };
  const both = (): Query => {
    let left = primary();
    while (peek() !== undefined && peek() !== ')' && lower() !== 'or') {
      if (lower() === 'and') position += 1;
      left = { kind: 'and', left, right: primary() };
    }
    return left;
  };
  const either = (): Query => {
    let left = both();
    while (lower() === 'or') {
      position += 1;
      left = { kind: 'or', left, right: both() };
    }
    return left;
  };
  if (list.length === 0) return undefined;
  const query = either();
  if (position < list.length) return fail('This closing bracket has no beginning.');
  return query;
}

function compare(value: string | number | undefined, operator: Operator, wanted: string): boolean {
  if (value === undefined) return operator === '!=';
  if (operator === '~') return String(value).toLowerCase().includes(wanted);
  if (typeof value === 'number') {
    const number = Number.parseFloat(wanted);
    if (Number.isNaN(number)) return false;
    switch (operator) {
      case '=':
        return value === number;
      case '!=':
        return value !== number;
      case '<':
        return value < number;
      case '<=':
        return value <= number;
      case '>':
        return value > number;
      case '>=':
        return value >= number;
    }
  }
  const text = value.toLowerCase();
  // Lists of words (badges, codes) are equal to each of them.
  const equal = text === wanted || text.split(' ').includes(wanted);
  return operator === '=' ? equal : operator === '!=' ? !equal : false;
}

/** Undefined: the query says nothing about such a thing (a field that it does not have). */
function holds(
  query: Query,
  read: (field: string) => { readonly value: string | number | undefined } | undefined,
  word: (text: string) => boolean,
): boolean | undefined {
  switch (query.kind) {
    case 'and': {
      const left = holds(query.left, read, word);
      const right = holds(query.right, read, word);
      return left === undefined || right === undefined ? undefined : left && right;
    }
    case 'or': {
      const left = holds(query.left, read, word);
      const right = holds(query.right, read, word);
      return left === undefined && right === undefined ? undefined : left === true || right === true;
    }
    case 'not': {
      const inner = holds(query.of, read, word);
      return inner === undefined ? undefined : !inner;
    }
    case 'compare': {
      const found = read(query.field);
      return found && compare(found.value, query.operator, query.value);
    }
    case 'word':
      return word(query.word);
  }
}

export interface Found {
  readonly nodes: ReadonlySet<string>;
  readonly edges: ReadonlySet<string>;
}

/** What of a graph fits a query. Raises QueryError. */
export function find(graph: Graph, text: string): Found | undefined {
  const query = parseQuery(text);
  if (!query) return undefined;
  const nodes = graph.nodes.filter((node) =>
    holds(
      query,
      (field) => {
        const read = nodeFields[field];
        return read && { value: read(node) };
      },
      (word) =>
        nodeTitle(node).toLowerCase().includes(word) ||
        node.health.state === word ||
        node.kind.toLowerCase() === word ||
        node.badges.some((badge) => badge === word),
    ),
  );
  const edges = graph.edges.filter((edge) =>
    holds(
      query,
      (field) => {
        const read = edgeFields[field];
        return read && { value: read(edge) };
      },
      (word) =>
        edge.protocol === word ||
        (word === 'mtls' && (edge.mutualTls ?? 0) > 0.5) ||
        (word === 'failing' && edge.traffic.errorRate >= 0.1),
    ),
  );
  return { nodes: new Set(nodes.map(({ id }) => id)), edges: new Set(edges.map(({ id }) => id)) };
}

/** The graph without what fits a query, and without edges that lost an end. */
export function hide(graph: Graph, found: Found | undefined): Graph {
  if (!found || (found.nodes.size === 0 && found.edges.size === 0)) return graph;
  const nodes = graph.nodes.filter(({ id }) => !found.nodes.has(id));
  const left = new Set(nodes.map(({ id }) => id));
  const edges = graph.edges.filter(
    ({ id, source, target }) => !found.edges.has(id) && left.has(source) && left.has(target),
  );
  return { ...graph, nodes, edges };
}
