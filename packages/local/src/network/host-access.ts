import type { Socket } from 'node:net';
import type { KubeClient } from '@istio-ts/kube';
import type { Informer } from '../controllers/informer.ts';
import { keyOf, nameOf, namespaceOf, type Service, SERVICES } from '../controllers/kinds.ts';
import { createWorkQueue } from '../controllers/work-queue.ts';
import type { EventRecorder } from '../controllers/events.ts';
import { forwardTo } from './forward.ts';

/** Opens listening sockets in the host's network namespace for a process that lives in the cluster's. */
export interface HostBinder {
  /** Throws an error with `code` (`EADDRINUSE`, `EACCES`, ...) when the address cannot be used. */
  listen(host: string, port: number): Promise<HostServer>;
}

/** A listening socket in the host's network namespace. */
export interface HostServer {
  readonly port: number;
  /** Says who gets the connections. Each comes paused, and those that came earlier come first. */
  serve(serve: (connection: Socket) => void): void;
  close(): void;
}

const LAST_LOOPBACK = 250;

interface Opened {
  readonly address: string | undefined;
  /** `host:port` to its socket. */
  readonly servers: Map<
    string,
    { readonly server: HostServer; target: { readonly host: string; readonly port: number } }
  >;
}

/**
 * Gives the host's programs access to services: NodePorts on 127.0.0.1, and for each LoadBalancer service a loopback address of its
 * own choice where all its ports are free, which becomes its external IP.
 */
export function startHostAccess(options: {
  readonly client: KubeClient;
  readonly services: Informer<Service>;
  readonly binder: HostBinder;
  readonly events: EventRecorder;
  readonly log: (line: string) => void;
}): { readonly close: () => void } {
  const { client, services, binder, events, log } = options;
  const opened = new Map<string, Opened>();
  const queue = createWorkQueue({
    // One at a time: two services must not race for the same address.
    concurrency: 1,
    reconcile,
    onError: (key, error) => log(`host access of service ${key}: ${error.message}`),
    backoff: { first: 500, max: 30_000 },
  });
  services.onChange(({ object, previous, type }) => {
    if (type === 'MODIFIED' && previous !== undefined && sameExposure(object, previous)) return;
    queue.add(keyOf(object));
  });

  async function reconcile(key: string): Promise<void> {
    const service = services.byKey(key);
    const before = opened.get(key);
    const clusterIP = service?.spec.clusterIP;
    const exposed =
      service !== undefined &&
      service.metadata.deletionTimestamp === undefined &&
      clusterIP !== undefined &&
      clusterIP !== 'None' &&
      (service.spec.type === 'LoadBalancer' || service.spec.type === 'NodePort');
    if (!exposed) {
      if (before !== undefined) closeAll(before);
      opened.delete(key);
      if (service?.status?.loadBalancer?.ingress?.length) await writeAddress(service, undefined);
      return;
    }
    const current = before ?? { address: undefined, servers: new Map() };
    const ports = (service.spec.ports ?? []).filter((port) => (port.protocol ?? 'TCP') === 'TCP');
    const wanted = new Map<string, { host: string; port: number }>();
    for (const port of ports) {
      if (port.nodePort) wanted.set(`127.0.0.1:${port.nodePort}`, { host: clusterIP, port: port.port });
    }
    let address: string | undefined;
    if (service.spec.type === 'LoadBalancer' && service.spec.loadBalancerClass === undefined) {
      address = await chooseAddress(
        service,
        ports.map((port) => port.port),
        current,
      );
      for (const port of ports) {
        if (address !== undefined) wanted.set(`${address}:${port.port}`, { host: clusterIP, port: port.port });
      }
    }
    for (const [place, entry] of current.servers) {
      const target = wanted.get(place);
      if (target === undefined) {
        entry.server.close();
        current.servers.delete(place);
      } else entry.target = target;
    }
    opened.set(key, { address, servers: current.servers });
    const failures: string[] = [];
    for (const [place, target] of wanted) {
      if (current.servers.has(place)) continue;
      const [host = '', port = ''] = place.split(':');
      try {
        add(current, place, await binder.listen(host, Number(port)), target);
      } catch (error) {
        failures.push(`${place}: ${error instanceof Error ? error.message : String(error)}`);
      }
    }
    if (service.spec.type === 'LoadBalancer') await writeAddress(service, address);
    if (failures.length > 0) {
      events.record(
        service,
        'Warning',
        'HostPortUnavailable',
        `not reachable from this machine: ${failures.join('; ')}`,
      );
      throw new Error(failures.join('; '));
    }
  }

  async function chooseAddress(
    service: Service,
    ports: readonly number[],
    current: Opened,
  ): Promise<string | undefined> {
    const earlier = current.address ?? service.status?.loadBalancer?.ingress?.[0]?.ip;
    const asked = service.spec.loadBalancerIP;
    const candidates = new Set<string>();
    for (const candidate of [asked, earlier]) if (candidate?.startsWith('127.')) candidates.add(candidate);
    for (let last = 1; last <= LAST_LOOPBACK; last++) candidates.add(`127.0.0.${last}`);
    for (const candidate of candidates) {
      const fresh: { place: string; server: HostServer; port: number }[] = [];
      let free = true;
      for (const port of ports) {
        const place = `${candidate}:${port}`;
        if (current.servers.has(place)) continue;
        try {
          fresh.push({ place, port, server: await binder.listen(candidate, port) });
        } catch (error) {
          if (error instanceof Error && 'code' in error && error.code === 'EADDRINUSE') {
            free = false;
            break;
          }
          for (const { server } of fresh) server.close();
          throw error;
        }
      }
      if (free) {
        for (const { place, server, port } of fresh) {
          add(current, place, server, { host: service.spec.clusterIP ?? '', port });
        }
        return candidate;
      }
      for (const { server } of fresh) server.close();
    }
    events.record(
      service,
      'Warning',
      'NoAddress',
      `ports ${ports.join(', ')} are in use by other programs on every loopback address of this machine (a program that listens on 0.0.0.0 takes them all)`,
    );
    return undefined;
  }

  function add(current: Opened, place: string, server: HostServer, target: { host: string; port: number }): void {
    const entry = { server, target };
    current.servers.set(place, entry);
    server.serve((connection) => {
      // Options of the server that accepted it do not come along with its handle.
      connection.allowHalfOpen = true;
      forwardTo(connection, entry.target);
    });
  }

  async function writeAddress(service: Service, address: string | undefined): Promise<void> {
    const now = service.status?.loadBalancer?.ingress?.[0]?.ip;
    if (now === address) return;
    await client.patch(
      SERVICES,
      nameOf(service),
      namespaceOf(service),
      'merge',
      {
        status: {
          loadBalancer: address === undefined ? { ingress: null } : { ingress: [{ ip: address, ipMode: 'Proxy' }] },
        },
      },
      { subresource: 'status' },
    );
  }

  function closeAll(entry: Opened): void {
    for (const { server } of entry.servers.values()) server.close();
    entry.servers.clear();
  }

  return {
    close() {
      queue.close();
      for (const entry of opened.values()) closeAll(entry);
      opened.clear();
    },
  };
}

function sameExposure(a: Service, b: Service): boolean {
  return (
    JSON.stringify([a.spec, a.status?.loadBalancer, a.metadata.deletionTimestamp]) ===
    JSON.stringify([b.spec, b.status?.loadBalancer, b.metadata.deletionTimestamp])
  );
}
