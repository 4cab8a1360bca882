/**
 * What the console's pages and its server say to each other: JSON over HTTP below `/api`. Both sides are typed by this file, which imports nothing.
 *
 * Times are milliseconds since 1970, durations seconds, rates per second, latencies milliseconds. A request that fails is answered with `ApiError`
 * and a fitting HTTP status; 401 asks for a token, 403 says what the token may not do.
 */

/** An object of the Kubernetes API by its name. */
export interface ObjectName {
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
}

export interface ApiError {
  /** What is wrong and what to do, for people. */
  readonly message: string;
  readonly object?: ObjectName;
  /** Path of the field concerned. */
  readonly field?: string;
  /** 403: what the caller would have to be allowed. */
  readonly missing?: readonly MissingRight[];
}

/** Something that the caller may not do at the Kubernetes API, in the words of its roles. */
export interface MissingRight {
  readonly verb: string;
  /** '' for Kubernetes' core. */
  readonly group: string;
  readonly resource: string;
  /** '' for objects of the cluster, and where it is missing in all namespaces. */
  readonly namespace: string;
  /** Whole sentence. */
  readonly message: string;
}

// ---- GET /api/session

/** How people are known: by a token of Kubernetes, or not at all and then they may only read. */
export type AuthStrategy = 'token' | 'anonymous';

/** A program beside the mesh that the console reads from or refers to. */
export interface AddonState {
  readonly name: 'prometheus' | 'tracing' | 'grafana' | 'loki';
  /** `real`: the well-known program; `built-in`: what this project puts in its place; `absent`: nobody answers. */
  readonly state: 'real' | 'built-in' | 'absent';
  readonly address: string;
  /** Why it does not answer, or where to get the real program. */
  readonly message?: string;
}

export interface Session {
  readonly strategy: AuthStrategy;
  /** Undefined: a token has to be given first (`POST /api/login` with `{token}`; ended by `POST /api/logout`). */
  readonly user?: string;
  readonly mayWrite: boolean;
  readonly cluster: string;
  readonly version: string;
  readonly meshVersions: readonly string[];
  readonly istioNamespace: string;
  readonly addons: readonly AddonState[];
}

// ---- GET /api/namespaces

export type HealthState = 'healthy' | 'degraded' | 'failing' | 'idle' | 'unknown';

/** How something is: the worst of its parts, and why. */
export interface Health {
  readonly state: HealthState;
  /** Sentences, worst first; empty when there is nothing to say. */
  readonly reasons: readonly string[];
}

/** Traffic in the asked time range. */
export interface Traffic {
  readonly requestsPerSecond: number;
  /** Share of requests that failed (HTTP 5xx and no answer; gRPC errors), 0 to 1. */
  readonly errorRate: number;
  /** Undefined where there was no request. */
  readonly p50?: number;
  readonly p95?: number;
  readonly p99?: number;
  readonly tcpSentBytesPerSecond: number;
  readonly tcpReceivedBytesPerSecond: number;
}

export interface NamespaceSummary {
  readonly name: string;
  /** Label `istio-injection` or `istio.io/rev`; undefined: not in the mesh. */
  readonly injection?: string;
  readonly mutualTls: 'STRICT' | 'PERMISSIVE' | 'DISABLE' | 'UNSET';
  readonly services: number;
  readonly workloads: number;
  readonly pods: number;
  readonly podsWithProxy: number;
  readonly configObjects: number;
  readonly errors: number;
  readonly warnings: number;
  readonly health: Health;
  readonly traffic: Traffic;
}

export interface NamespaceList {
  readonly items: readonly NamespaceSummary[];
}

// ---- GET /api/graph?namespaces=a,b&type=versionedApp&duration=60&at=MS
// In graphs of versions and workloads services stand between who calls and who answers (`services=false`: they do not). What has no traffic is shown
// too (`idle=false`: it is not).

export type GraphType = 'app' | 'versionedApp' | 'workload' | 'service';

export type NodeKind = 'app' | 'workload' | 'service' | 'serviceEntry' | 'gateway' | 'unknown';

export type Badge =
  | 'virtual-service'
  | 'circuit-breaker'
  | 'fault-injection'
  | 'traffic-shifting'
  | 'request-timeout'
  | 'mirroring'
  | 'missing-sidecar'
  | 'gateway'
  | 'external'
  | 'dead';

export interface GraphNode {
  /** Stable over time as long as the node means the same. */
  readonly id: string;
  readonly kind: NodeKind;
  readonly namespace: string;
  readonly app?: string;
  readonly version?: string;
  readonly workload?: string;
  readonly service?: string;
  /** The box that it is drawn in: the id of a group. */
  readonly group?: string;
  readonly badges: readonly Badge[];
  readonly health: Health;
  readonly incoming: Traffic;
}

export interface GraphEdge {
  readonly id: string;
  readonly source: string;
  readonly target: string;
  readonly protocol: 'http' | 'grpc' | 'tcp';
  readonly traffic: Traffic;
  /** Share of the traffic in mutual TLS, 0 to 1. Only the server's side knows it: undefined where none of it has reported. */
  readonly mutualTls?: number;
  /** Share of what the source sends over edges of this protocol, 0 to 1. */
  readonly share: number;
  /** Requests per second by response code and flags of the answer (`200`, `503 UO`). */
  readonly codes: Readonly<Record<string, number>>;
}

export interface GraphGroup {
  readonly id: string;
  readonly kind: 'app' | 'namespace';
  readonly label: string;
}

export interface Graph {
  readonly type: GraphType;
  /** End of the time range; the same graph can be asked for again later (replay). */
  readonly at: number;
  readonly duration: number;
  readonly nodes: readonly GraphNode[];
  readonly edges: readonly GraphEdge[];
  readonly groups: readonly GraphGroup[];
  /** What kept the graph from being complete, for people. */
  readonly warnings: readonly string[];
}

// ---- GET /api/services, /api/workloads, /api/apps ?namespaces=a,b&duration=60
// ---- GET /api/services/NS/NAME, /api/workloads/NS/NAME, /api/apps/NS/NAME ?duration=600

export interface ListItem extends ObjectName {
  readonly labels: Readonly<Record<string, string>>;
  readonly health: Health;
  readonly traffic: Traffic;
  /** Pods with a proxy of all pods; undefined where it has no pods. */
  readonly proxies?: { readonly ready: number; readonly total: number };
  /** Configuration of the mesh that names it. */
  readonly config: readonly ObjectName[];
  readonly versions: readonly string[];
}

export interface ItemList {
  readonly items: readonly ListItem[];
}

export interface PodSummary {
  readonly namespace: string;
  readonly name: string;
  readonly phase: string;
  readonly ready: boolean;
  readonly containers: readonly string[];
  readonly hasProxy: boolean;
  readonly createdAt: number;
  readonly restarts: number;
  readonly message?: string;
}

/** A line of a chart: points `[time, value]`, gaps are missing points. */
export interface Series {
  readonly label: string;
  readonly points: readonly (readonly [time: number, value: number])[];
}

export interface Chart {
  readonly title: string;
  readonly unit: 'rps' | 'ms' | 'Bps' | 'percent' | 'bytes' | 'count' | 'cpu';
  readonly series: readonly Series[];
}

export interface Detail extends ListItem {
  readonly createdAt: number;
  /** Services: hosts and ports. Workloads: kind of controller, images. */
  readonly facts: readonly { readonly label: string; readonly value: string }[];
  readonly pods: readonly PodSummary[];
  readonly services: readonly ObjectName[];
  readonly workloads: readonly ObjectName[];
  /** Inbound traffic, then outbound where there is some. */
  readonly charts: readonly Chart[];
  /** Who calls it and whom it calls. */
  readonly neighbours: Graph;
}

// ---- GET /api/config?namespaces=a,b&kinds=VirtualService,Gateway
// ---- GET, PUT, DELETE /api/config/KIND/NS/NAME; POST /api/config (apply); POST /api/config/check
// Writing is done with the caller's own rights at the Kubernetes API; PUT and POST /api/config answer with the ConfigDetail that has become of it. The
// Gateway API's Gateway is of kind KubernetesGateway here, for Istio has a Gateway too.
// Objects of the cluster (GatewayClass, Namespace, MutatingWebhookConfiguration, ...) have the namespace `-` in paths and in `namespaces`, and '' in
// answers; a list without `namespaces` has those that configure the mesh too. Kinds of Kubernetes that the mesh's configuration names (Service,
// Deployment, ConfigMap, ...) can be read below /api/config too, not written; of a Secret only the names of its keys are shown.

export interface ValidationMessage {
  readonly code: string;
  readonly level: 'Error' | 'Warning' | 'Info';
  readonly message: string;
  /** Path of the field. */
  readonly field?: string;
  /** From 1, in the text that was checked. */
  readonly line?: number;
  readonly column?: number;
}

export interface ConfigItem extends ObjectName {
  readonly apiVersion: string;
  readonly createdAt: number;
  readonly labels: Readonly<Record<string, string>>;
  readonly messages: readonly ValidationMessage[];
}

export interface ConfigList {
  readonly items: readonly ConfigItem[];
  /** Kinds that the console knows, those of the mesh and those of the Gateway API that the cluster serves. */
  readonly kinds: readonly string[];
  /** Of the asked kinds those that the caller may not list in all of the asked namespaces: that there are none of them here says nothing. */
  readonly unreadable?: readonly string[];
  /** The rights that were missing for them. */
  readonly missing?: readonly MissingRight[];
}

// ---- GET /api/rights?namespace=NS&kinds=VirtualService,DestinationRule&verbs=list,create,update
// What a caller may do before they try: wizards ask it for the kinds that they read and write. Namespace `-`: objects of the cluster.

export interface Rights {
  /** Empty: everything that was asked about is allowed. */
  readonly missing: readonly MissingRight[];
}

export interface ConfigDetail extends ConfigItem {
  readonly yaml: string;
  readonly resourceVersion: string;
  readonly status?: string;
  /** It can be looked at, not changed here: an object of Kubernetes, or of a controller. */
  readonly readOnly?: true;
  /** Objects that it names and that name it. */
  readonly references: readonly ObjectName[];
}

/** Body of PUT and of POST /api/config and /api/config/check: one object. */
export interface ConfigText {
  readonly yaml: string;
  /** PUT: the version that was edited; a newer one is answered with 409. */
  readonly resourceVersion?: string;
}

export interface CheckResult {
  readonly object?: ObjectName;
  readonly messages: readonly ValidationMessage[];
}

// ---- GET /api/dashboards, /api/dashboards/UID; GET /api/query?query=&time=, /api/query_range?query=&start=&end=&step=
// The last two answer as Prometheus' HTTP API does.

export interface DashboardName {
  readonly uid: string;
  readonly title: string;
  readonly description: string;
}

export interface DashboardList {
  readonly items: readonly DashboardName[];
}

// ---- GET /api/traces?service=NS/NAME&operation=&tags=k=v,k=v&minDuration=&maxDuration=&start=&end=&limit=20; GET /api/traces/ID

export interface Span {
  readonly id: string;
  readonly parent?: string;
  readonly service: string;
  readonly operation: string;
  readonly kind: 'server' | 'client' | 'internal' | 'producer' | 'consumer';
  readonly start: number;
  /** Milliseconds, with fractions. */
  readonly duration: number;
  readonly error: boolean;
  readonly tags: Readonly<Record<string, string>>;
  readonly logs: readonly { readonly time: number; readonly message: string }[];
}

export interface TraceSummary {
  readonly id: string;
  readonly root: string;
  readonly operation: string;
  readonly start: number;
  readonly duration: number;
  readonly spans: number;
  readonly errors: number;
  readonly services: readonly { readonly name: string; readonly spans: number }[];
}

export interface TraceList {
  readonly items: readonly TraceSummary[];
  readonly services: readonly string[];
}

export interface Trace extends TraceSummary {
  readonly all: readonly Span[];
}

// ---- GET /api/logs/NS/POD?container=&tail=200&since=SECONDS&follow=true: lines as server-sent events (`data: LogLine`)
// ---- GET /api/logs?workload=NS/NAME (or app=NS/NAME, or service=NS/NAME) and the same: of all its pods together; each line names its pod. `tail` is then
// the number of lines in all. What is there already comes in order of time, then, with follow, what is added, as it comes; pods that start later join.
// `contains=TEXT` leaves out all other lines before they are sent.

export interface LogLine {
  readonly time?: number;
  /** Where the lines are of several pods. */
  readonly pod?: string;
  readonly container: string;
  readonly text: string;
  /** Not of the log: the console says what it could not read, or that a pod came or went. */
  readonly notice?: true;
  /** Access log lines of the proxy that could be read. */
  readonly request?: {
    readonly method: string;
    readonly path: string;
    readonly status: number;
    readonly flags: string;
    readonly durationMs: number;
    readonly upstream: string;
    readonly authority: string;
  };
}

// ---- GET /api/proxies; GET /api/proxies/NS/POD

export interface ProxyState {
  readonly namespace: string;
  readonly pod: string;
  readonly type: 'sidecar' | 'router' | 'waypoint' | 'ztunnel';
  readonly version: string;
  readonly istiod: string;
  /** By short type name (CDS, LDS, EDS, RDS, ECDS). */
  readonly sync: Readonly<Record<string, 'SYNCED' | 'STALE' | 'NOT SENT' | 'ERROR'>>;
  readonly message?: string;
}

export interface ProxyList {
  readonly items: readonly ProxyState[];
}

/** A row of a proxy's configuration, with the objects that it came from. */
export interface ProxyRow {
  readonly name: string;
  readonly cells: Readonly<Record<string, string>>;
  readonly from: readonly ObjectName[];
  /** The whole resource as Envoy has it, secrets blanked out. */
  readonly json: unknown;
}

export interface CertificateState {
  readonly name: string;
  readonly type: 'chain' | 'root';
  readonly identities: readonly string[];
  readonly serial: string;
  readonly notBefore: number;
  readonly notAfter: number;
  readonly valid: boolean;
}

export interface ProxyDetail extends ProxyState {
  readonly listeners: readonly ProxyRow[];
  readonly routes: readonly ProxyRow[];
  readonly clusters: readonly ProxyRow[];
  readonly endpoints: readonly ProxyRow[];
  readonly certificates: readonly CertificateState[];
  readonly logLevels: Readonly<Record<string, string>>;
}

// ---- POST /api/explain: what happens to a request

export interface ExplainRequest {
  /** The proxy whose decision is asked: of the client for outbound, of the server for inbound, a gateway's for what comes from outside. */
  readonly namespace: string;
  readonly pod: string;
  readonly direction: 'outbound' | 'inbound';
  readonly method: string;
  /** `http://host:port/path?query` */
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Inbound: SPIFFE identity of the caller; undefined: without mutual TLS. */
  readonly caller?: string;
  /** Verified claims of a token. */
  readonly claims?: Readonly<Record<string, unknown>>;
}

export interface ExplainStep {
  readonly stage: 'listener' | 'filter-chain' | 'filter' | 'route' | 'destination' | 'endpoint' | 'end';
  readonly verdict: 'matched' | 'passed' | 'changed' | 'denied' | 'failed' | 'unknown';
  /** Whole sentence. */
  readonly text: string;
  /** Name of Envoy's resource. */
  readonly resource?: string;
  /** Objects that decided. */
  readonly from: readonly ObjectName[];
  /** What else was looked at and why it was not it. */
  readonly others: readonly { readonly name: string; readonly why: string }[];
}

export interface Explanation {
  readonly steps: readonly ExplainStep[];
  /** Status that the caller gets when the proxy itself answers; undefined: the application does. */
  readonly status?: number;
  readonly summary: string;
}
