import type { Origin } from '@istio-ts/mesh/model';

/** One resource as it goes over the wire: encoded once, shared by every proxy that may see it. */
export interface XdsResource {
  readonly typeUrl: string;
  readonly name: string;
  /** Hash of the content: equal content has an equal version on every replica. */
  readonly version: string;
  /** The resource's own bytes (the `value` of a google.protobuf.Any with `typeUrl`). */
  readonly value: Uint8Array;
  /** Length of `value`, where that is not at hand itself. */
  readonly size?: number;
  /** The same resource as a plain object, for dumps; decoded or kept, made on demand. */
  readonly json: () => unknown;
  /** The configuration objects that it came from. */
  readonly origins: readonly Origin[];
}

/** What a proxy said of itself in its first request. */
export interface ProxyNode {
  /** `type~ip~name.namespace~domain`. */
  readonly id: string;
  readonly cluster: string;
  readonly type: 'sidecar' | 'router' | 'waypoint' | 'ztunnel';
  readonly ipAddress: string;
  readonly podName: string;
  readonly namespace: string;
  readonly dnsDomain: string;
  readonly locality: { readonly region: string; readonly zone: string; readonly subzone: string };
  readonly metadata: Readonly<Record<string, unknown>>;
  /** Envoy's version, for features that older ones do not have; undefined for other clients. */
  readonly envoyVersion: { readonly major: number; readonly minor: number; readonly patch: number } | undefined;
  /** SPIFFE identity that the connection proved, undefined on the plain-text port. */
  readonly identity: string | undefined;
  /** Whether it takes its routes host by host (virtual host discovery on the same delta stream) instead of whole route configurations. */
  readonly incrementalRoutes?: boolean;
}

/** What one connected proxy may see now; changes over time. */
export interface ProxyView {
  /**
   * All resources of a type that exist for this proxy, by name. The same Map instance as long as nothing changed; unknown types give an empty map.
   * For types that are asked for by name (EDS, RDS, SDS, ECDS) the server picks from it; a name that is absent does not exist.
   */
  resources(typeUrl: string): ReadonlyMap<string, XdsResource>;
  /**
   * For proxies that take their routes host by host: the virtual hosts of every such route configuration, by its name and theirs. Tables that did not
   * change are the same instances. Undefined for other proxies.
   */
  virtualHosts?(): ReadonlyMap<string, ReadonlyMap<string, XdsResource>> | undefined;
  /** Calls back after a change with the type URLs whose maps changed; returns the function that ends it. */
  onChange(listener: (changed: ReadonlySet<string>) => void): () => void;
  close(): void;
}

/** Where the ADS server gets configuration from. */
export interface ProxyConfigSource {
  connect(node: ProxyNode): ProxyView;
}
