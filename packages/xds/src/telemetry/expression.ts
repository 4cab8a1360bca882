import type { ScopedProxy } from '@istio-ts/mesh/model';
import { type CelNode, children, parseCel, pathOf } from './expression-tree.ts';
import { type PeerFact, peerFact } from './peer.ts';
import { format, type TagSource, text } from './tag.ts';

/** What a CEL expression of a Telemetry comes to, or why Envoy cannot compute it. */
export type Compiled =
  | { readonly kind: 'source'; readonly source: TagSource }
  | { readonly kind: 'problem'; readonly message: string };

const problem = (message: string): Compiled => ({ kind: 'problem', message });

/** Names that expressions may begin with: Envoy's attributes, and Istio's names for some of them. */
const ROOTS: ReadonlySet<string> = new Set([
  'request',
  'response',
  'connection',
  'source',
  'destination',
  'upstream',
  'metadata',
  'filter_state',
  'upstream_filter_state',
  'xds',
]);

/** Istio's names of what Envoy keeps under `xds`. */
const RENAMED: Readonly<Record<string, string>> = {
  node: 'xds.node',
  cluster_name: 'xds.cluster_name',
  cluster_metadata: 'xds.cluster_metadata',
  route_name: 'xds.route_name',
  route_metadata: 'xds.route_metadata',
  upstream_host_metadata: 'xds.upstream_host_metadata',
  listener_direction: 'xds.listener_direction',
  listener_metadata: 'xds.listener_metadata',
};

/** Functions that stock Envoy's formatter was seen to have. */
const FUNCTIONS: ReadonlySet<string> = new Set([
  ...['has', 'size', 'int', 'uint', 'double', 'bytes', 'duration', 'timestamp', 'type', 'dyn'],
  ...['startsWith', 'endsWith', 'contains', 'matches'],
  ...['getFullYear', 'getMonth', 'getDate', 'getDayOfMonth', 'getDayOfWeek', 'getDayOfYear'],
  ...['getHours', 'getMinutes', 'getSeconds', 'getMilliseconds'],
]);
const REGEX_FUNCTIONS: ReadonlySet<string> = new Set(['capture', 'extract']);
const WALKS: ReadonlySet<string> = new Set(['all', 'exists', 'exists_one', 'map', 'filter']);

type PeerSide = 'upstream' | 'downstream';
interface PeerKeys {
  /** In the metadata of the endpoint. */
  readonly upstream: string;
  /** In the client's certificate. */
  readonly downstream: PeerFact;
}

const WORKLOAD: PeerKeys = { upstream: 'workload', downstream: 'workload' };
const APP: PeerKeys = { upstream: 'app', downstream: 'app' };
const VERSION: PeerKeys = { upstream: 'version', downstream: 'version_label' };
const SERVICE: PeerKeys = { upstream: 'canonical_service', downstream: 'canonical_service' };
const REVISION: PeerKeys = { upstream: 'canonical_revision', downstream: 'version' };
const CLUSTER: PeerKeys = { upstream: 'cluster', downstream: 'cluster' };

/** What is known of the workload at the other end: no metadata is exchanged, so it is what the endpoint and the certificate say. */
const PEER_FIELDS: Readonly<Record<string, PeerKeys>> = {
  workload: WORKLOAD,
  workload_name: WORKLOAD,
  namespace: { upstream: 'namespace', downstream: 'namespace' },
  app: APP,
  version: VERSION,
  service: SERVICE,
  revision: REVISION,
  cluster: CLUSTER,
  cluster_id: CLUSTER,
};
const PEER_LABELS: Readonly<Record<string, PeerKeys>> = {
  app: APP,
  version: VERSION,
  'service.istio.io/canonical-name': SERVICE,
  'service.istio.io/canonical-revision': REVISION,
};

interface Peer {
  readonly side: PeerSide;
  readonly keys: PeerKeys;
}

/** `upstream_peer.labels["app"].value`, `filter_state.downstream_peer.namespace` and the like; 'unknown' for what nobody knows of a peer. */
function peerOf(path: readonly string[]): Peer | 'unknown' | undefined {
  const [first, ...rest] = path[0] === 'filter_state' ? path.slice(1) : path;
  const side = first === 'upstream_peer' ? 'upstream' : first === 'downstream_peer' ? 'downstream' : undefined;
  if (side === undefined) return undefined;
  const [field = '', label, value] = rest;
  const isLabel = field === 'labels';
  const keys = isLabel ? PEER_LABELS[label ?? ''] : PEER_FIELDS[field];
  const isWhole = isLabel ? rest.length === 2 || (rest.length === 3 && value === 'value') : rest.length === 1;
  return keys !== undefined && isWhole ? { side, keys } : 'unknown';
}

const inCel = ({ side, keys }: Peer): string =>
  side === 'upstream'
    ? `xds.upstream_host_metadata.filter_metadata["istio.peer"]["${keys.upstream}"]`
    : `filter_state["peer.${keys.downstream}"]`;

const asCommand = ({ side, keys }: Peer): string =>
  side === 'upstream' ? `%UPSTREAM_METADATA(istio.peer:${keys.upstream})%` : peerFact(keys.downstream);

/** Commands that say the same as an expression and cost less than CEL on every request. */
const COMMANDS: Readonly<Record<string, string>> = {
  'request.host': '%REQ(:AUTHORITY)%',
  'request.method': '%REQ(:METHOD)%',
  'request.path': '%REQ(:PATH)%',
  'request.useragent': '%REQ(USER-AGENT)%',
  'request.referer': '%REQ(REFERER)%',
  'request.id': '%REQ(X-REQUEST-ID)%',
  'response.code': '%RESPONSE_CODE%',
  'response.code_details': '%RESPONSE_CODE_DETAILS%',
  'response.grpc_status': '%GRPC_STATUS_NUMBER%',
};
const HEADER = /^:?[A-Za-z0-9_.-]+$/;

function command(path: readonly string[], proxy: ScopedProxy): TagSource | undefined {
  const peer = peerOf(path);
  if (peer !== undefined && peer !== 'unknown') return format(asCommand(peer));
  const [root, field, key] = path;
  if (path.length === 3 && field === 'headers' && key !== undefined && HEADER.test(key)) {
    if (root === 'request') return format(`%REQ(${key})%`);
    if (root === 'response') return format(`%RESP(${key})%`);
  }
  if (path.length === 4 && root === 'node' && field === 'metadata' && key === 'LABELS')
    return text(proxy.labels[path[3] ?? '']);
  const known = COMMANDS[path.join('.')];
  return known === undefined ? undefined : format(known);
}

interface Edit {
  readonly start: number;
  readonly end: number;
  readonly by: string;
}

class Unsupported extends Error {}

/** Walks the expression: throws for what Envoy lacks, and collects what it calls otherwise. */
function visit(node: CelNode, edits: Edit[]): void {
  const path = pathOf(node);
  if (path !== undefined) {
    checkPath(node, path, edits);
    return;
  }
  if (node.op === 'call') checkCall(node);
  if (node.op === 'rcall' && visitMethod(node, edits)) return;
  if (node.op === '+' && children(node).some((part) => part.op === 'value' && typeof part.args === 'string'))
    throw new Unsupported('Envoy does not join strings with +');
  for (const child of children(node)) visit(child, edits);
}

function checkPath(node: CelNode, path: readonly string[], edits: Edit[]): void {
  const [root = ''] = path;
  const peer = peerOf(path);
  if (peer === 'unknown')
    throw new Unsupported(
      `${path.join('.')}: of the workload at the other end only ${Object.keys(PEER_FIELDS).join(', ')} and the labels ${Object.keys(PEER_LABELS).join(', ')} are known`,
    );
  if (peer !== undefined) {
    edits.push({ start: node.start, end: node.end, by: inCel(peer) });
    return;
  }
  const renamed = RENAMED[root];
  if (renamed !== undefined) {
    const at = rootOf(node);
    edits.push({ start: at.start, end: at.end, by: renamed });
    return;
  }
  if (!ROOTS.has(root)) throw new Unsupported(`${root} is none of Envoy’s attributes (${[...ROOTS].join(', ')})`);
}

const rootOf = (node: CelNode): CelNode => {
  const [from] = node.op === 'id' ? [] : children(node);
  return from === undefined ? node : rootOf(from);
};

function checkCall(node: CelNode): void {
  const [name, parts] = node.args as readonly [string, readonly CelNode[]];
  if (!FUNCTIONS.has(name)) throw new Unsupported(`Envoy has no function ${name}`);
  if (name === 'has' && parts[0]?.op !== '.')
    throw new Unsupported('has() takes a field such as request.host; for a key write "x" in request.headers');
}

/** True for functions of regular expressions, whose `re` is no attribute. */
function visitMethod(node: CelNode, edits: Edit[]): boolean {
  const [name, receiver, parts] = node.args as readonly [string, CelNode, readonly CelNode[]];
  if (receiver.op === 'id' && receiver.args === 're' && REGEX_FUNCTIONS.has(name)) {
    for (const part of parts) visit(part, edits);
    return true;
  }
  if (WALKS.has(name)) throw new Unsupported(`Envoy does not walk lists or maps (${name})`);
  if (!FUNCTIONS.has(name)) throw new Unsupported(`Envoy has no function ${name}`);
  return false;
}

function edited(expression: string, edits: readonly Edit[]): string {
  let result = '';
  let at = 0;
  for (const { start, end, by } of [...edits].sort((a, b) => a.start - b.start)) {
    result += expression.slice(at, start) + by;
    at = end;
  }
  return result + expression.slice(at);
}

const firstLine = (error: unknown): string =>
  (error instanceof Error ? error.message : String(error)).split('\n')[0] ?? '';

interface Parsed {
  readonly root: CelNode;
  /** The expression with Envoy's names for what Istio calls otherwise, on one line. */
  readonly cel: string;
}

function parsed(expression: string): Parsed | { readonly problem: string } {
  let root: CelNode;
  try {
    root = parseCel(expression);
  } catch (error) {
    return { problem: `is not a CEL expression: ${firstLine(error)}` };
  }
  const edits: Edit[] = [];
  try {
    visit(root, edits);
  } catch (error) {
    if (error instanceof Unsupported) return { problem: error.message };
    throw error;
  }
  return { root, cel: edited(expression, edits).replaceAll(/\s*\n\s*/g, ' ') };
}

/** What is inside of `string(...)` around a whole expression. The value of a label is text in any case. */
function withoutConversion(expression: string): string | undefined {
  try {
    const { op, args } = parseCel(expression);
    if (op !== 'call') return undefined;
    const [name, parts] = args as readonly [string, readonly CelNode[]];
    const [part, ...more] = parts;
    return name === 'string' && part !== undefined && more.length === 0
      ? expression.slice(part.start, part.end)
      : undefined;
  } catch {
    // Whoever compiles it says what is wrong with it.
    return undefined;
  }
}

/** Turns the CEL expression of a label's value into what Envoy computes. Attributes that a request does not have give an empty value, shown as `unknown`. */
export function compileExpression(expression: string, proxy: ScopedProxy): Compiled {
  const inner = withoutConversion(expression);
  if (inner !== undefined) return compileExpression(inner, proxy);
  const result = parsed(expression);
  if ('problem' in result) return problem(result.problem);
  const { root, cel } = result;
  if (root.op === 'value' && ['string', 'bigint', 'number', 'boolean'].includes(typeof root.args))
    return { kind: 'source', source: text(String(root.args)) };
  const path = pathOf(root);
  const cheap = path === undefined ? undefined : command(path, proxy);
  if (cheap !== undefined) return { kind: 'source', source: cheap };
  // The formatter takes this for the end of the command.
  if (/\)(:\d+)?%/.test(cel)) return problem('must not have a percent sign right after a closing parenthesis');
  return { kind: 'source', source: format(`%CEL(${cel})%`) };
}

/** A CEL expression that says which requests are meant, in Envoy's names, or why Envoy cannot compute it. */
export function compileCondition(
  expression: string,
): { readonly kind: 'cel'; readonly cel: string } | { readonly kind: 'problem'; readonly message: string } {
  const result = parsed(expression);
  return 'problem' in result ? { kind: 'problem', message: result.problem } : { kind: 'cel', cel: result.cel };
}
