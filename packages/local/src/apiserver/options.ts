import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { NodeRuntime } from '../node-runtime.ts';

/** Somebody else's listening socket. */
export interface ConnectionSource {
  /** Says who gets the connections. */
  serve(serve: (connection: Socket) => void): void;
}

/** One place where the API server accepts connections. */
export type Listen =
  /** HTTPS; the API server opens the socket itself. Port 0 picks a free one (see `ApiServer.addresses`). */
  | { readonly kind: 'tls'; readonly host: string; readonly port: number }
  /** HTTPS on connections of a server that somebody else opened (and closes), for example in another network namespace. */
  | { readonly kind: 'tls-server'; readonly server: ConnectionSource }
  /** Plain HTTP on a Unix socket of mode 0600. Whoever can open it acts as `system:masters`; for the cluster's own parts. */
  | { readonly kind: 'unix'; readonly path: string };

export interface ApiServerOptions {
  /** Directory (mode 0700, made when absent) of the database and the certificates. */
  readonly stateDir: string;
  readonly runtime: NodeRuntime;
  /** IPv4 network that ClusterIPs are allocated from, for example `10.96.0.0/16`. */
  readonly serviceCidr: string;
  readonly listen: readonly Listen[];
  /** DNS names and IP addresses, besides localhost and the `kubernetes` Service, that the serving certificate is valid for. */
  readonly certSans: readonly string[];
  /**
   * What the EndpointSlice of the `default/kubernetes` Service points at, where pods reach this server.
   * Without it the Service exists but has no endpoints.
   */
  readonly advertise?: { readonly address: string; readonly port: number };
  /** Opens a connection to a Service's ClusterIP, for webhooks and `services/proxy`. By default a plain TCP connect from this process. */
  readonly dialService?: (clusterIP: string, port: number) => Promise<Duplex>;
  /** Opens a connection to a pod address, for `pods/proxy`. By default `runtime.dial`. */
  readonly dialPod?: (podIP: string, port: number) => Promise<Duplex>;
  readonly log: (line: string) => void;
  /** Milliseconds since the epoch. Default: the system's clock. */
  readonly now?: () => number;
}

export interface ApiServer {
  /** PEM. */
  readonly caCertificate: string;
  /** PEM; client certificate of `kubernetes-admin` in `system:masters`. */
  readonly adminCertificate: string;
  readonly adminKey: string;
  /** Addresses of the `tls` entries of `listen`, in their order. */
  readonly addresses: readonly { readonly host: string; readonly port: number }[];
  /** A kubeconfig (as a plain object) whose only context `name` (default `istio-local`) reaches `server` as the administrator. */
  adminKubeconfig(server: string, name?: string): object;
  /** Adds a place to listen while running. */
  listen(listen: Listen): Promise<{ readonly host: string; readonly port: number } | undefined>;
  close(): Promise<void>;
}
