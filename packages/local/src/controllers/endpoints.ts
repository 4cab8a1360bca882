import { createHash } from 'node:crypto';
import { KubeApiError, type KubeClient, type KubeObject, labelsInclude } from '@istio-ts/kube';
import type { Informer } from './informer.ts';
import {
  ENDPOINT_SLICES,
  ENDPOINTS,
  type EndpointSlice,
  keyOf,
  nameOf,
  namespaceOf,
  type Pod,
  type Service,
  type ServicePort,
  type SliceEndpoint,
  uidOf,
} from './kinds.ts';
import { canonical, isReady, ownerReference } from './pod-control.ts';
import { createWorkQueue, type WorkQueue } from './work-queue.ts';

const MANAGED_BY = 'endpointslice.kubernetes.io/managed-by';
const CONTROLLER = 'endpointslice-controller.k8s.io';
const MIRROR = 'endpointslicemirroring-controller.k8s.io';
const SERVICE_NAME = 'kubernetes.io/service-name';
const MAX_ENDPOINTS = 1000;

/** Derives EndpointSlices and Endpoints from services and pods; copies hand-written Endpoints of services without a selector into slices. */
export function startEndpoints(
  client: KubeClient,
  services: Informer<Service>,
  pods: Informer<Pod>,
  slices: Informer<EndpointSlice>,
  endpoints: Informer<KubeObject>,
  zone: string,
  onError: (key: string, error: Error) => void,
): WorkQueue {
  const queue = createWorkQueue({ reconcile, onError, concurrency: 8 });
  services.onChange(({ object }) => queue.add(keyOf(object)));
  endpoints.onChange(({ object }) => {
    const service = services.byKey(keyOf(object));
    if (service !== undefined && service.spec.selector === undefined) queue.add(keyOf(object));
  });
  slices.onChange(({ object, type }) => {
    // Someone else changed or deleted what is ours.
    const owner = object.metadata.labels?.[SERVICE_NAME];
    if (owner !== undefined && type === 'DELETED') queue.add(`${namespaceOf(object)}/${owner}`);
  });
  pods.onChange(({ object, previous }) => {
    if (
      previous !== undefined &&
      endpointFacts(previous) === endpointFacts(object) &&
      pods.byKey(keyOf(object)) !== undefined
    )
      return;
    for (const service of services.list(namespaceOf(object))) {
      const { selector } = service.spec;
      if (selector === undefined) continue;
      if (
        labelsInclude(selector, object.metadata.labels) ||
        (previous !== undefined && labelsInclude(selector, previous.metadata.labels))
      ) {
        queue.add(keyOf(service));
      }
    }
  });

  async function reconcile(key: string): Promise<void> {
    const service = services.byKey(key);
    const namespace = key.slice(0, key.indexOf('/'));
    const name = key.slice(key.indexOf('/') + 1);
    const existing = slices
      .list(namespace)
      .filter(
        (slice) =>
          slice.metadata.labels?.[SERVICE_NAME] === name &&
          [CONTROLLER, MIRROR].includes(slice.metadata.labels?.[MANAGED_BY] ?? ''),
      );
    if (service === undefined || service.metadata.deletionTimestamp !== undefined) {
      for (const slice of existing) await remove(slice);
      if (service === undefined) {
        await ignoreMissing(client.delete(ENDPOINTS, name, namespace));
      }
      return;
    }
    if (service.spec.type === 'ExternalName') {
      for (const slice of existing) await remove(slice);
      return;
    }
    const wanted = service.spec.selector === undefined ? mirrored(service) : selected(service);
    if (wanted === undefined) return;
    const left = new Map(existing.map((slice) => [nameOf(slice), slice]));
    for (const slice of wanted) {
      const before = left.get(nameOf(slice));
      left.delete(nameOf(slice));
      if (before === undefined) {
        try {
          await client.create(ENDPOINT_SLICES, slice);
        } catch (error) {
          if (!(error instanceof KubeApiError && error.status === 409)) throw error;
          queue.addAfter(key, 50);
        }
      } else if (
        canonical([before.endpoints ?? [], before.ports ?? [], before.metadata.labels]) !==
        canonical([slice.endpoints ?? [], slice.ports ?? [], slice.metadata.labels])
      ) {
        await client.update(ENDPOINT_SLICES, {
          ...slice,
          metadata: { ...slice.metadata, resourceVersion: before.metadata.resourceVersion },
        });
      }
    }
    for (const slice of left.values()) await remove(slice);
    if (service.spec.selector !== undefined) await writeEndpoints(service, wanted);
  }

  /** Slices of a service with a selector: one for each set of port numbers that its pods have. */
  function selected(service: Service): EndpointSlice[] {
    const groups = new Map<string, { ports: EndpointSlice['ports']; endpoints: SliceEndpoint[] }>();
    for (const pod of pods.list(namespaceOf(service))) {
      if (!labelsInclude(service.spec.selector ?? {}, pod.metadata.labels)) continue;
      const phase = pod.status?.phase;
      const address = pod.status?.podIP;
      if (address === undefined || phase === 'Succeeded' || phase === 'Failed') continue;
      const ports = slicePorts(service.spec.ports ?? [], pod);
      const id = canonical(ports);
      const group = groups.get(id) ?? { ports, endpoints: [] };
      group.endpoints.push(endpointOf(service, pod, address, zone));
      groups.set(id, group);
    }
    if (groups.size === 0) groups.set('', { ports: slicePorts(service.spec.ports ?? [], undefined), endpoints: [] });
    const result: EndpointSlice[] = [];
    for (const [id, group] of groups) {
      group.endpoints.sort((a, b) => ((a.addresses[0] ?? '') < (b.addresses[0] ?? '') ? -1 : 1));
      for (let start = 0; start === 0 || start < group.endpoints.length; start += MAX_ENDPOINTS) {
        const part = group.endpoints.slice(start, start + MAX_ENDPOINTS);
        result.push(sliceOf(service, CONTROLLER, `${id}/${start}`, part, group.ports));
      }
    }
    return result;
  }

  function mirrored(service: Service): EndpointSlice[] | undefined {
    const source = endpoints.byKey(keyOf(service));
    if (source === undefined) return [];
    if (source.metadata.labels?.['endpointslice.kubernetes.io/skip-mirror'] === 'true') return [];
    // Slices that the API server keeps itself need no copy.
    const others = slices
      .list(namespaceOf(service))
      .some(
        (slice) =>
          slice.metadata.labels?.[SERVICE_NAME] === nameOf(service) && slice.metadata.labels[MANAGED_BY] !== MIRROR,
      );
    if (others) return [];
    const subsets = Array.isArray(source.subsets) ? (source.subsets as EndpointSubset[]) : [];
    return subsets.map((subset, index) => {
      const list: SliceEndpoint[] = [];
      for (const [addresses, ready] of [
        [subset.addresses ?? [], true],
        [subset.notReadyAddresses ?? [], false],
      ] as const) {
        for (const address of addresses) {
          list.push({
            addresses: [address.ip],
            conditions: { ready },
            ...(address.hostname === undefined ? {} : { hostname: address.hostname }),
            ...(address.nodeName === undefined ? {} : { nodeName: address.nodeName }),
            ...(address.targetRef === undefined ? {} : { targetRef: address.targetRef }),
          });
        }
      }
      const ports = (subset.ports ?? []).map((port) => ({
        ...port,
        name: port.name ?? '',
        protocol: port.protocol ?? 'TCP',
      }));
      return sliceOf(service, MIRROR, `mirror/${index}`, list, ports);
    });
  }

  async function writeEndpoints(service: Service, wanted: readonly EndpointSlice[]): Promise<void> {
    const subsets = wanted.flatMap((slice) => {
      const list = slice.endpoints ?? [];
      if (list.length === 0) return [];
      const address = (endpoint: SliceEndpoint) => ({
        ip: endpoint.addresses[0] ?? '',
        ...(endpoint.hostname === undefined ? {} : { hostname: endpoint.hostname }),
        ...(endpoint.nodeName === undefined ? {} : { nodeName: endpoint.nodeName }),
        ...(endpoint.targetRef === undefined ? {} : { targetRef: endpoint.targetRef }),
      });
      const ready = list.filter((endpoint) => endpoint.conditions?.ready !== false).map(address);
      const waiting = list
        .filter((endpoint) => endpoint.conditions?.ready === false && endpoint.conditions.terminating !== true)
        .map(address);
      if (ready.length === 0 && waiting.length === 0) return [];
      return [
        {
          ...(ready.length > 0 ? { addresses: ready } : {}),
          ...(waiting.length > 0 ? { notReadyAddresses: waiting } : {}),
          ports: slice.ports ?? [],
        },
      ];
    });
    const before = endpoints.byKey(keyOf(service));
    const labels = { ...service.metadata.labels, 'endpoints.kubernetes.io/managed-by': 'endpoint-controller' };
    const object: KubeObject = {
      apiVersion: 'v1',
      kind: 'Endpoints',
      metadata: {
        name: nameOf(service),
        namespace: namespaceOf(service),
        labels: service.spec.clusterIP === 'None' ? { ...labels, 'service.kubernetes.io/headless': '' } : labels,
      },
      ...(subsets.length > 0 ? { subsets } : {}),
    };
    if (before === undefined) {
      await client.create(ENDPOINTS, object).catch((error: Error) => {
        if (!(error instanceof KubeApiError && error.status === 409)) throw error;
      });
    } else if (
      canonical(before.subsets ?? []) !== canonical(subsets) ||
      canonical(before.metadata.labels) !== canonical(object.metadata.labels)
    ) {
      await client.update(ENDPOINTS, {
        ...object,
        metadata: { ...object.metadata, resourceVersion: before.metadata.resourceVersion },
      });
    }
  }

  async function remove(slice: EndpointSlice): Promise<void> {
    await ignoreMissing(client.delete(ENDPOINT_SLICES, nameOf(slice), namespaceOf(slice)));
  }

  return queue;
}

interface EndpointSubset {
  readonly addresses?: readonly SubsetAddress[];
  readonly notReadyAddresses?: readonly SubsetAddress[];
  readonly ports?: readonly { readonly name?: string; readonly port: number; readonly protocol?: string }[];
}

interface SubsetAddress {
  readonly ip: string;
  readonly hostname?: string;
  readonly nodeName?: string;
  readonly targetRef?: SliceEndpoint['targetRef'];
}

async function ignoreMissing(call: Promise<unknown>): Promise<void> {
  try {
    await call;
  } catch (error) {
    if (!(error instanceof KubeApiError && error.status === 404)) throw error;
  }
}

/** What of a pod its endpoints depend on. */
function endpointFacts(pod: Pod): string {
  return JSON.stringify([
    pod.metadata.labels,
    pod.metadata.deletionTimestamp !== undefined,
    pod.status?.podIP,
    pod.status?.phase,
    isReady(pod),
  ]);
}

function slicePorts(ports: readonly ServicePort[], pod: Pod | undefined): NonNullable<EndpointSlice['ports']> {
  return ports.flatMap((port) => {
    const number = targetPort(port, pod);
    if (number === undefined) return [];
    return [
      {
        name: port.name ?? '',
        protocol: port.protocol ?? 'TCP',
        port: number,
        ...(port.appProtocol === undefined ? {} : { appProtocol: port.appProtocol }),
      },
    ];
  });
}

function targetPort(port: ServicePort, pod: Pod | undefined): number | undefined {
  const target = port.targetPort ?? port.port;
  if (typeof target === 'number') return target === 0 ? port.port : target;
  if (/^\d+$/.test(target)) return Number(target);
  const containers = [
    ...(pod?.spec.containers ?? []),
    ...(pod?.spec.initContainers ?? []).filter((container) => container.restartPolicy === 'Always'),
  ];
  for (const container of containers) {
    const named = container.ports?.find(
      (candidate) => candidate.name === target && (candidate.protocol ?? 'TCP') === (port.protocol ?? 'TCP'),
    );
    if (named !== undefined) return named.containerPort;
  }
  return undefined;
}

function endpointOf(service: Service, pod: Pod, address: string, zone: string): SliceEndpoint {
  const terminating = pod.metadata.deletionTimestamp !== undefined;
  const serving = isReady(pod);
  const publish = service.spec.publishNotReadyAddresses === true;
  const { hostname, subdomain } = pod.spec;
  return {
    addresses: [address],
    conditions: { ready: publish || (serving && !terminating), serving, terminating },
    ...(hostname !== undefined && subdomain === nameOf(service) ? { hostname } : {}),
    ...(pod.spec.nodeName === undefined ? {} : { nodeName: pod.spec.nodeName, zone }),
    targetRef: { kind: 'Pod', namespace: namespaceOf(pod), name: nameOf(pod), uid: uidOf(pod) },
  };
}

function sliceOf(
  service: Service,
  manager: string,
  id: string,
  endpoints: readonly SliceEndpoint[],
  ports: EndpointSlice['ports'],
): EndpointSlice {
  const suffix = createHash('sha256')
    .update(`${uidOf(service)}/${id}`)
    .digest('hex')
    .slice(0, 5);
  const labels: Record<string, string> = {
    ...service.metadata.labels,
    [MANAGED_BY]: manager,
    [SERVICE_NAME]: nameOf(service),
  };
  if (service.spec.clusterIP === 'None') labels['service.kubernetes.io/headless'] = '';
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: {
      name: `${nameOf(service)}-${suffix}`,
      namespace: namespaceOf(service),
      labels,
      ownerReferences: [ownerReference(service)],
    },
    addressType: 'IPv4',
    endpoints,
    ports: ports ?? [],
  };
}
