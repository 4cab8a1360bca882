import { type Service, selectorMatches, type Workload } from '@istio-ts/mesh';
import type { KubeObject } from '@istio-ts/kube';
import { CliError } from '../cli/failure.ts';
import { policiesInForce } from '../proxy-config/authorization.ts';
import type { ConfigDump } from '@istio-ts/envoy-dump/config-dump';
import type { MeshView } from './mesh-view.ts';
import { securityLines } from './security-part.ts';
import { serviceLines, type TargetPort } from './service-lines.ts';

const rule = '-'.repeat(20);

interface ContainerPort {
  readonly containerPort: number;
  readonly protocol?: string;
}
interface Container {
  readonly name: string;
  readonly ports?: readonly ContainerPort[];
}
interface PodSpec {
  readonly containers?: readonly Container[];
  readonly initContainers?: readonly (Container & { readonly restartPolicy?: string })[];
  readonly hostNetwork?: boolean;
}
interface PodStatus {
  readonly phase?: string;
  readonly containerStatuses?: readonly { readonly name: string; readonly ready?: boolean }[];
  readonly initContainerStatuses?: readonly { readonly name: string; readonly ready?: boolean }[];
}

const proxyContainer = 'istio-proxy';

/** Containers that run as long as the pod: the sidecar may be one of the init containers (native sidecar). */
function runningContainers(pod: KubeObject): readonly Container[] {
  const spec = (pod.spec ?? {}) as PodSpec;
  return [
    ...(spec.containers ?? []),
    ...(spec.initContainers ?? []).filter(({ restartPolicy }) => restartPolicy === 'Always'),
  ];
}

/** Whether a pod has an Envoy of the mesh. */
export const isMeshed = (pod: KubeObject): boolean =>
  runningContainers(pod).some(({ name }) => name === proxyContainer);

function podLines(pod: KubeObject, ignoreUnmeshed: boolean): readonly string[] {
  const { name, labels = {} } = pod.metadata;
  const spec = (pod.spec ?? {}) as PodSpec;
  const status = (pod.status ?? {}) as PodStatus;
  const ports = runningContainers(pod).flatMap((container) =>
    (container.ports ?? []).map(({ containerPort, protocol }) => {
      const shown = protocol && protocol !== 'TCP' ? `${containerPort}/${protocol}` : String(containerPort);
      return `${shown} (${container.name})`;
    }),
  );
  const notReady = [...(status.containerStatuses ?? []), ...(status.initContainerStatuses ?? [])].filter(
    (container) => container.ready === false && runningContainers(pod).some((own) => own.name === container.name),
  );
  const lacks = (...keys: readonly string[]) => keys.every((key) => !labels[key]);
  return [
    `Pod: ${name}`,
    `   Pod Revision: ${labels['istio.io/rev'] ?? pod.metadata.annotations?.['istio.io/rev'] ?? 'default'}`,
    `   Pod Ports: ${ports.join(', ') || 'none declared'}`,
    ...(status.phase !== 'Running' ? [`   WARNING: the pod is not running (${status.phase ?? 'unknown'})`] : []),
    ...notReady.map((container) => `   WARNING: container ${container.name} is not ready`),
    ...(spec.hostNetwork ? ["   WARNING: the pod is in its node's network: traffic is not captured"] : []),
    ...(!isMeshed(pod) && !ignoreUnmeshed
      ? [
          `   WARNING: ${name} is not in the mesh: it has no istio-proxy container (is its namespace labelled for injection?)`,
        ]
      : []),
    ...(lacks('app', 'service.istio.io/canonical-name', 'app.kubernetes.io/name')
      ? ['   Suggestion: give the pod the label "app", by which telemetry names it']
      : []),
    ...(lacks('version', 'service.istio.io/canonical-revision', 'app.kubernetes.io/version')
      ? ['   Suggestion: give the pod the label "version", by which telemetry and subsets tell versions apart']
      : []),
  ];
}

/** Whether a pod's proxy is a gateway: it stands for itself, there is no other container. */
const isGateway = (pod: KubeObject): boolean =>
  isMeshed(pod) && runningContainers(pod).every(({ name }) => name === proxyContainer);

/** The Gateways that a gateway's pod serves, and the VirtualServices that are bound to them. */
function gatewayLines(view: MeshView, labels: Readonly<Record<string, string>>): readonly string[] {
  const gateways = view.mesh.gateways.current.filter(({ spec }) => selectorMatches(spec.selector, labels));
  if (gateways.length === 0) return ['Gateways: none selects this pod: it takes no requests'];
  return gateways.flatMap(({ origin, spec }) => {
    const name = `${origin.namespace}/${origin.name}`;
    const bound = view.mesh.virtualServices.current.filter((one) => one.spec.gateways?.includes(name));
    return [
      `Gateway: ${name}`,
      ...(spec.servers ?? []).map(
        ({ port, hosts = [], tls }) =>
          `   Port ${port?.number} (${port?.protocol}${tls?.mode ? `, TLS ${tls.mode}` : ''}) for ${hosts.join(', ')}`,
      ),
      ...bound.map(
        (one) =>
          `   VirtualService: ${one.origin.name}.${one.origin.namespace} for ${(one.spec.hosts ?? []).join(', ')}`,
      ),
      ...(bound.length === 0
        ? ['   WARNING: no VirtualService is bound to it: every request is answered with 404']
        : []),
    ];
  });
}

const targetsOf = (view: MeshView, service: Service): readonly TargetPort[] => {
  const object = view.services.find(
    ({ metadata }) => metadata.name === service.name && metadata.namespace === service.namespace,
  );
  return (object?.spec as { readonly ports?: readonly TargetPort[] } | undefined)?.ports ?? [];
};

const workloadOf = (view: MeshView, namespace: string, name: string): Workload | undefined =>
  view.mesh.workloads.get(`Pod/${namespace}/${name}`);

/** The services whose selector finds a workload. */
const servicesOf = (view: MeshView, { namespace, labels }: Workload): readonly Service[] =>
  (view.mesh.selectingServices.get(namespace) ?? []).filter(({ selector }) => selectorMatches(selector, labels));

/** `istioctl experimental describe pod`: what applies to one pod. `dump` is what its Envoy has; undefined for a pod without one. */
export function describePod(
  view: MeshView,
  pod: KubeObject,
  dump: ConfigDump | undefined,
  ignoreUnmeshed: boolean,
): string {
  const { name = '', namespace = '', labels = {} } = pod.metadata;
  const workload = workloadOf(view, namespace, name);
  const services = workload ? servicesOf(view, workload) : [];
  const parts = [
    podLines(pod, ignoreUnmeshed),
    ...(services.length === 0
      ? [[`No Service selects pod ${name}: callers in the mesh cannot reach it by a name`]]
      : []),
    ...services.map((service) =>
      serviceLines({
        view,
        service,
        targets: targetsOf(view, service),
        workloads: [...view.mesh.workloads.values()].filter((other) => servicesOf(view, other).includes(service)),
        pod: workload,
        dump,
      }),
    ),
    ...(isGateway(pod) ? [gatewayLines(view, labels)] : []),
    securityLines(view, namespace, labels, dump && policiesInForce(dump), isGateway(pod)),
  ];
  return `${parts.map((lines) => lines.join('\n')).join(`\n${rule}\n`)}\n`;
}

/** The pods behind a service, running ones in the mesh first: of these one is asked for its Envoy's configuration. */
export function podsBehind(view: MeshView, namespace: string, name: string): readonly KubeObject[] {
  const service = serviceNamed(view, namespace, name);
  const { selector } = service;
  if (!selector) return [];
  const pods = view.pods.filter(
    ({ metadata }) => metadata.namespace === service.namespace && selectorMatches(selector, metadata.labels ?? {}),
  );
  const rank = (pod: KubeObject) =>
    Number(!isMeshed(pod)) + Number((pod.status as PodStatus | undefined)?.phase !== 'Running');
  return [...pods].sort((a, b) => rank(a) - rank(b));
}

function serviceNamed(view: MeshView, namespace: string, name: string): Service {
  const found = [...view.mesh.services.values()].find(
    (service) => service.registry === 'Kubernetes' && service.namespace === namespace && service.name === name,
  );
  if (!found) throw new CliError(`there is no service "${name}" in namespace ${namespace}`);
  return found;
}

/** `istioctl experimental describe service`: what applies to a service and all pods behind it. Raises CliError when there is none of this name. */
export function describeService(
  view: MeshView,
  namespace: string,
  name: string,
  dump: ConfigDump | undefined,
  ignoreUnmeshed: boolean,
): string {
  const service = serviceNamed(view, namespace, name);
  const pods = podsBehind(view, namespace, name);
  const workloads = pods.flatMap(({ metadata }) => workloadOf(view, namespace, metadata.name ?? '') ?? []);
  const unmeshed = pods.filter((pod) => !isMeshed(pod)).map(({ metadata }) => metadata.name);
  const behind = [
    ...(service.selector === undefined
      ? ['   The service has no selector: its endpoints are not pods that Kubernetes chooses']
      : pods.length === 0
        ? ['   WARNING: no pod has the labels that the service selects: requests to it fail']
        : [`   Pods: ${pods.length}`]),
    ...(unmeshed.length > 0 && !ignoreUnmeshed ? [`   WARNING: not in the mesh: ${unmeshed.join(', ')}`] : []),
  ];
  const [head = '', ...lines] = serviceLines({
    view,
    service,
    targets: targetsOf(view, service),
    workloads,
    pod: undefined,
    dump,
  });
  const sample = pods[0];
  const parts = [
    [head, ...behind, ...lines],
    ...(sample ? [securityLines(view, namespace, sample.metadata.labels ?? {}, dump && policiesInForce(dump))] : []),
  ];
  return `${parts.map((part) => part.join('\n')).join(`\n${rule}\n`)}\n`;
}
