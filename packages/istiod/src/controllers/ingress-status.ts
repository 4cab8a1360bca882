import { kubernetesTypes } from '@istio-ts/api/resource-types';
import type { KubeClient, KubeObject } from '@istio-ts/kube';
import type { Mesh } from '@istio-ts/mesh';
import { ingressSelector } from '@istio-ts/mesh/ingress';
import type { Logger } from '../log.ts';
import { followLeadership, type LeadershipOptions } from './leadership.ts';
import { updateStatus } from './update-status.ts';

/** Where clients reach the gateway of the Ingresses: what stands in `status.loadBalancer.ingress`. */
type Addresses = readonly { readonly ip?: string; readonly hostname?: string }[];

/** Name of the Lease of the istiod that writes the status (istio-surface.md, leader elections). */
const lockName = 'istio-leader';
const retryMs = 1000;

/** Addresses that a load balancer or the user gave a Service; none while it has no load balancer yet. */
export function serviceAddresses(service: KubeObject | undefined): Addresses {
  const status = service?.status as
    | { readonly loadBalancer?: { readonly ingress?: readonly { readonly ip?: string; readonly hostname?: string }[] } }
    | undefined;
  const given = status?.loadBalancer?.ingress ?? [];
  if (given.length > 0) return given.map(({ ip, hostname }) => ({ ...(ip && { ip }), ...(hostname && { hostname }) }));
  const spec = service?.spec as { readonly externalIPs?: readonly string[] } | undefined;
  return (spec?.externalIPs ?? []).map((ip) => ({ ip }));
}

/** The address of a node by which clients from outside reach it: its external one, else its internal one or its name. */
export function nodeAddress(node: KubeObject): Addresses {
  const status = node.status as
    | { readonly addresses?: readonly { readonly type: string; readonly address: string }[] }
    | undefined;
  const of = (type: string) => status?.addresses?.find((entry) => entry.type === type)?.address;
  const ip = of('ExternalIP') ?? of('InternalIP');
  if (ip !== undefined) return [{ ip }];
  const hostname = of('Hostname');
  return hostname === undefined ? [] : [{ hostname }];
}

/** `namespace` is that of the control plane. */
export interface IngressStatusOptions extends Omit<LeadershipOptions, 'lock'> {
  /** Namespace of the gateway's Service and pods. */
  readonly ingressNamespace: string;
}

/**
 * Writes into the status of every Ingress that the mesh serves where its gateway is reached: the addresses of the Service `meshConfig.ingressService`,
 * or those of the nodes of the gateway's pods where no Service is named. Of several control planes the one that holds the Lease `istio-leader` writes;
 * nobody asks for it before there is an Ingress.
 */
export function writeIngressStatus(
  mesh: Pick<Mesh, 'ingresses' | 'config' | 'workloads'>,
  client: KubeClient,
  options: IngressStatusOptions,
  log: Logger,
): { readonly close: () => void } {
  /** What was last written or found, by the Ingress's key. */
  const settled = new Map<string, string>();
  const services = new Map<string, KubeObject>();
  const retries = new Set<NodeJS.Timeout>();
  let leading = false;
  let closed = false;
  let leadership: { close(): void } | undefined;
  let busy = Promise.resolve();

  const again = (): void => {
    const timer = setTimeout(() => {
      retries.delete(timer);
      reconcile();
    }, retryMs);
    retries.add(timer);
  };

  const addresses = async (): Promise<Addresses> => {
    const config = mesh.config.current;
    if (config.ingressService) return serviceAddresses(services.get(config.ingressService));
    const selector = Object.entries(ingressSelector(config));
    const nodes = new Set(
      [...mesh.workloads.values()]
        .filter(
          (workload) =>
            workload.namespace === options.ingressNamespace &&
            selector.every(([key, value]) => workload.labels[key] === value),
        )
        .map(({ node }) => node),
    );
    const found = await Promise.all(
      [...nodes].filter((name) => name !== '').map((name) => client.get(kubernetesTypes.Node, name)),
    );
    return found
      .flatMap(nodeAddress)
      .sort((a, b) => ((a.ip ?? a.hostname ?? '') < (b.ip ?? b.hostname ?? '') ? -1 : 1));
  };

  const write = async (key: string, ingress: Addresses): Promise<void> => {
    const [namespace = '', name = ''] = key.split('/');
    const text = JSON.stringify(ingress);
    if (settled.get(key) === text) return;
    await updateStatus(client, kubernetesTypes.Ingress, { namespace, name }, (object) => {
      const status = object.status as { readonly loadBalancer?: { readonly ingress?: Addresses } } | undefined;
      const present = (status?.loadBalancer?.ingress ?? []).map(({ ip, hostname }) => ({
        ...(ip && { ip }),
        ...(hostname && { hostname }),
      }));
      return JSON.stringify(present) === text ? undefined : { loadBalancer: { ingress } };
    });
    settled.set(key, text);
  };

  const run = async (): Promise<void> => {
    if (!leading || closed) return;
    let wanted: Addresses;
    try {
      wanted = await addresses();
    } catch (error) {
      log.warn(`cannot find the addresses of the gateway for Ingresses: ${(error as Error).message}`);
      again();
      return;
    }
    const keys = new Set([...mesh.ingresses.entries()].map(([key]) => key));
    for (const key of settled.keys()) if (!keys.has(key)) settled.delete(key);
    for (const key of keys) {
      if (closed) return;
      try {
        await write(key, wanted);
      } catch (error) {
        log.warn(`cannot write the status of Ingress ${key}: ${(error as Error).message}`);
        again();
      }
    }
  };
  const reconcile = (): void => {
    busy = busy.then(run);
  };

  const start = (): void => {
    if (leadership || mesh.ingresses.size === 0) return;
    watch = client.watch(
      kubernetesTypes.Service,
      { namespace: options.ingressNamespace, dropManagedFields: true },
      (event) => {
        if (event.type === 'SYNCED') return reconcile();
        const { name = '' } = event.object.metadata;
        if (event.type === 'DELETED') services.delete(name);
        else services.set(name, event.object);
        reconcile();
      },
    );
    leadership = followLeadership(
      client,
      { ...options, lock: lockName },
      (leads) => {
        leading = leads;
        if (!leads) return;
        settled.clear();
        reconcile();
      },
      log,
    );
  };
  let watch: { close(): void } | undefined;
  const ends = [
    mesh.ingresses.subscribe((changes) => {
      for (const { key } of changes) settled.delete(key);
      start();
      reconcile();
    }),
    mesh.config.subscribe(reconcile),
  ];
  start();
  return {
    close: () => {
      closed = true;
      leadership?.close();
      watch?.close();
      for (const end of ends) end();
      for (const timer of retries) clearTimeout(timer);
    },
  };
}
