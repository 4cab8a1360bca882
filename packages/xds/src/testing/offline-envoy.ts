import { existsSync } from 'node:fs';
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { MeshConfig, MeshNetworks } from '@istio-ts/api';
import type { Cluster, ClusterLoadAssignment, Listener, RouteConfiguration } from '@istio-ts/envoy';
import type { KubeObject } from '@istio-ts/kube/object';
import type { MeshOptions, Problem, TrustBundles } from '@istio-ts/mesh';
import { generateOffline, type OfflineProxy, typeUrls } from '../engine/index.ts';
import { selfSigned } from './certificate.ts';
import { type RunningEnvoy, startEnvoy } from './envoy.ts';
import { podObject, serviceObject, sliceObject } from './objects.ts';

/** A part of the loopback network for one test file, so that services and pods can have addresses of their own without any network set-up. */
export class LoopbackNet {
  readonly #prefix: string;

  constructor() {
    const byte = (): number => 16 + Math.floor(Math.random() * 200);
    this.#prefix = `127.${byte()}.${byte()}`;
  }

  /** The address with this last byte. */
  ip(last: number): string {
    return `${this.#prefix}.${last}`;
  }

  /** Where the listeners are that a sidecar has for all addresses of a port. */
  get everywhere(): string {
    return this.ip(254);
  }
}

export interface OfflineEnvoy extends RunningEnvoy {
  readonly clusters: ReadonlyMap<string, Cluster>;
  /** Replaces the endpoints of a cluster named in `changing`. */
  setEndpoints(cluster: string, assignment: ClusterLoadAssignment): Promise<void>;
  /** Endpoints of a cluster as they were generated. */
  endpoints(cluster: string): ClusterLoadAssignment;
}

interface Bound {
  readonly address: string;
  readonly port: number;
}

export interface OfflineEnvoySetup {
  readonly net: LoopbackNet;
  readonly objects: readonly KubeObject[];
  readonly proxy: OfflineProxy;
  readonly meshConfig?: MeshConfig;
  readonly meshNetworks?: MeshNetworks;
  /** Names of clusters whose endpoints a test changes. */
  readonly changing?: readonly string[];
  /** What the agent would serve: the workload's certificate, and what it trusts; a certificate that trusts itself where not given. */
  readonly identity?: { readonly certificate: string; readonly key: string; readonly roots: string };
  readonly mesh?: Partial<MeshOptions>;
  /** What istiod would have put together of `caCertificates`. */
  readonly trustBundles?: TrustBundles;
  /** Sockets that take what arrives for the workload's application, as if its traffic had been redirected from there. */
  readonly arrivals?: readonly { readonly address: string; readonly port: number }[];
  /** Where the listeners are bound to which connections would be redirected; the port must not be their own. They are left out where not given. */
  readonly captured?: { readonly outbound?: Bound; readonly inbound?: Bound };
  /** Clusters of the bootstrap, which the agent would write. */
  readonly clusters?: readonly Cluster[];
  /** The DNS server that Envoy asks. */
  readonly dns?: Bound;
  /** Takes the problems of the objects, which are errors otherwise. */
  readonly tolerate?: (problem: Problem) => void;
  /** Further secrets of the agent, such as files by their names. */
  readonly secrets?: readonly object[];
}

function agentSecrets(identity: OfflineEnvoySetup['identity']): readonly object[] {
  const own = selfSigned('client', { extension: 'subjectAltName=URI:spiffe://cluster.local/ns/default/sa/default' });
  const { certificate, key, roots } = identity ?? { ...own, roots: own.certificate };
  return [
    {
      name: 'default',
      tlsCertificate: { certificateChain: { inlineString: certificate }, privateKey: { inlineString: key } },
    },
    { name: 'ROOTCA', validationContext: { trustedCa: { inlineString: roots } } },
  ];
}

/** What the agent would read from the files that the resources name as secrets. */
function fileSecrets(resources: readonly unknown[], given: ReadonlySet<string>): readonly object[] {
  const names = JSON.stringify(resources).matchAll(/"name":"(file-(cert|root):([^"~]+)(?:~([^"]+))?)"/g);
  const secrets = new Map<string, object>();
  for (const [, name = '', kind, path = '', key = ''] of names) {
    if (given.has(name) || ![path, key].every((file) => file === '' || existsSync(file))) continue;
    secrets.set(
      name,
      kind === 'cert'
        ? { name, tlsCertificate: { certificateChain: { filename: path }, privateKey: { filename: key } } }
        : { name, validationContext: { trustedCa: { filename: path } } },
    );
  }
  return [...secrets.values()];
}

/**
 * A real Envoy with everything that istiod generates for a proxy from these objects. What interception does is done by binding: a listener of a
 * service's address is on that address, one for all addresses on `net.everywhere`. Endpoints stand in the clusters.
 */
export async function startOfflineEnvoy(setup: OfflineEnvoySetup): Promise<OfflineEnvoy> {
  const { resources, problems, errors } = generateOffline(setup.objects, setup.proxy, {
    ...(setup.meshConfig && { meshConfig: setup.meshConfig }),
    ...(setup.meshNetworks && { meshNetworks: setup.meshNetworks }),
    ...(setup.mesh && { mesh: setup.mesh }),
    ...(setup.trustBundles && { trustBundles: setup.trustBundles }),
  });
  if (setup.tolerate) problems.forEach(setup.tolerate);
  else if (problems.length > 0)
    throw new Error(problems.map((one) => `${one.origin.name} ${one.path}: ${one.message}`).join('\n'));
  if (errors.length > 0)
    throw new Error(errors.map((one) => `${one.type} ${one.name}: ${String(one.error)}`).join('\n'));
  const all = <T>(url: string): readonly T[] => (resources.get(url) ?? []).map((one) => one.json() as T);
  const endpoints = new Map(
    all<ClusterLoadAssignment>(typeUrls.endpoint).map((one) => [one.clusterName ?? '', one] as const),
  );
  const folder = setup.changing ? await mkdtemp(join(tmpdir(), 'xds-endpoints-')) : '';
  const files = new Map((setup.changing ?? []).map((name, i) => [name, join(folder, `${i}.json`)] as const));
  const setEndpoints = async (cluster: string, assignment: ClusterLoadAssignment): Promise<void> => {
    const file = files.get(cluster) ?? '';
    const resource = { '@type': typeUrls.endpoint, ...assignment };
    await writeFile(`${file}.new`, JSON.stringify({ versionInfo: `${Math.random()}`, resources: [resource] }));
    // Envoy looks at a file again when another one is moved over it.
    await rename(`${file}.new`, file);
  };
  const endpointsOf = (cluster: string): ClusterLoadAssignment => endpoints.get(cluster) ?? { clusterName: cluster };
  for (const name of files.keys()) await setEndpoints(name, endpointsOf(name));
  const clusters = all<Cluster>(typeUrls.cluster).map((cluster): Cluster => {
    if (cluster.type !== 'EDS') return cluster;
    const { edsClusterConfig, ...rest } = cluster;
    const path = files.get(cluster.name ?? '');
    if (path !== undefined)
      return { ...cluster, edsClusterConfig: { edsConfig: { pathConfigSource: { path }, resourceApiVersion: 'V3' } } };
    const loadAssignment = endpointsOf(edsClusterConfig?.serviceName || (cluster.name ?? ''));
    return { ...rest, type: 'STATIC', loadAssignment };
  });
  const captured: Readonly<Record<string, Bound | undefined>> = {
    virtualOutbound: setup.captured?.outbound,
    virtualInbound: setup.captured?.inbound,
  };
  const listeners = all<Listener>(typeUrls.listener)
    .filter(({ name = '' }) => !Object.hasOwn(captured, name) || captured[name])
    .map((listener): Listener => {
      const capture = captured[listener.name ?? ''];
      if (capture) {
        const { useOriginalDst: _none, ...rest } = listener;
        return { ...rest, address: { socketAddress: { address: capture.address, portValue: capture.port } } };
      }
      const socket = listener.address?.socketAddress;
      if (socket === undefined) return listener;
      const address = socket.address === '0.0.0.0' ? setup.net.everywhere : (socket.address ?? '');
      return { ...listener, address: { socketAddress: { ...socket, address } }, bindToPort: true };
    });
  const inbound = all<Listener>(typeUrls.listener).find((one) => one.name === 'virtualInbound');
  const arriving = (setup.arrivals ?? []).flatMap(({ address, port }): Listener[] =>
    inbound === undefined
      ? []
      : [
          {
            ...inbound,
            name: `virtualInbound-${port}`,
            address: { socketAddress: { address, portValue: port } },
            bindToPort: true,
          },
        ],
  );
  const own = endpoints.get('local_cluster');
  const { region = '', zone = '', subzone = '' } = setup.proxy.locality ?? {};
  const envoy = await startEnvoy({
    ...(own && {
      self: {
        locality: { region, zone, subZone: subzone },
        cluster: { name: 'local_cluster', type: 'STATIC', connectTimeout: '1s', loadAssignment: own },
      },
    }),
    listeners: [...listeners, ...arriving],
    clusters: [...clusters, ...(setup.clusters ?? [])],
    routes: new Map(all<RouteConfiguration>(typeUrls.route).map((one) => [one.name ?? '', one] as const)),
    ...(setup.dns && { dns: setup.dns }),
    extensions: new Map((resources.get(typeUrls.extension) ?? []).map((one) => [one.name, one.json()] as const)),
    secrets: [
      ...agentSecrets(setup.identity),
      ...(setup.secrets ?? []),
      ...fileSecrets(
        [...clusters, ...listeners],
        new Set((setup.secrets ?? []).map((one) => (one as { name: string }).name)),
      ),
      ...all<object>(typeUrls.secret),
    ],
  });
  const stop = async (): Promise<void> => {
    await envoy.stop();
    if (folder !== '') await rm(folder, { recursive: true });
  };
  return {
    ...envoy,
    stop,
    clusters: new Map(clusters.map((one) => [one.name ?? '', one])),
    setEndpoints,
    endpoints: endpointsOf,
  };
}

/** Port on which all origins of `loopbackApp` serve. */
export const ORIGIN_PORT = 8080;

/** A service with an address of the net and pods outside the mesh: for each the last byte of its address and its labels. */
export function loopbackApp(
  net: LoopbackNet,
  name: string,
  service: { readonly last: number; readonly port: number; readonly protocol: string; readonly namespace?: string },
  pods: readonly {
    readonly last: number;
    readonly labels?: Readonly<Record<string, string>>;
    readonly node?: string;
    readonly mesh?: boolean;
  }[],
): readonly KubeObject[] {
  const { namespace = 'default', last, port, protocol } = service;
  const address = net.ip(last);
  return [
    serviceObject({ name, namespace }, [{ name: protocol, port, targetPort: ORIGIN_PORT }], {
      clusterIP: address,
      clusterIPs: [address],
    }),
    ...pods.map((pod, i) =>
      podObject({
        name: `${name}-${i}`,
        namespace,
        labels: { app: name, ...pod.labels },
        ip: net.ip(pod.last),
        account: name,
        node: pod.node ?? 'node-1',
        mesh: pod.mesh === true,
      }),
    ),
    sliceObject(
      name,
      [{ name: protocol, port: ORIGIN_PORT, protocol: 'TCP' }],
      pods.map((pod, i) => ({ ip: net.ip(pod.last), pod: `${name}-${i}`, node: pod.node ?? 'node-1' })),
      namespace,
    ),
  ];
}
