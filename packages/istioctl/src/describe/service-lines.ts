import type { Service, Workload } from '@istio-ts/mesh';
import type { ConfigDump } from '@istio-ts/envoy-dump/config-dump';
import { destinationLines, ruleFor, tlsModeOf, unusedRules } from './destination-part.ts';
import { acceptedBy, knowsService, rulesInEnvoy, virtualServicesInEnvoy } from './envoy-part.ts';
import { exposuresOf } from './exposure-part.ts';
import type { MeshView } from './mesh-view.ts';
import { meshRoutesOf, routeLines, type RoutingSubject } from './routing-part.ts';
import { peerAuthenticationOf } from './security-part.ts';

/** A port of a service as Kubernetes has it: the name or number that it targets. */
export interface TargetPort {
  readonly port: number;
  readonly targetPort?: number | string;
}

/** The pod's port that a service's port ends at. */
export function targetOf({ port, targetPort }: TargetPort, workload: Workload | undefined): number | undefined {
  if (typeof targetPort === 'string') return workload?.ports[targetPort];
  return targetPort ?? port;
}

/** What a description of a service is about: all pods behind it, or one of them; and what that pod's Envoy has, if it was asked. */
export interface ServiceSubject {
  readonly view: MeshView;
  readonly service: Service;
  readonly targets: readonly TargetPort[];
  readonly workloads: readonly Workload[];
  readonly pod: Workload | undefined;
  readonly dump: ConfigDump | undefined;
}

const protocolText = (protocol: string) => (protocol === 'Auto' ? 'protocol found out by sniffing' : protocol);

function portLines({ service, targets, workloads, pod }: ServiceSubject): readonly string[] {
  const sample = pod ?? workloads[0];
  return service.ports.flatMap(({ name, number, protocol }) => {
    const target = targets.find(({ port }) => port === number);
    const ends = target && targetOf(target, sample);
    const missing = sample !== undefined && target !== undefined && ends === undefined;
    return [
      `   Port: ${name ? `${name} ` : ''}${number} (${protocolText(protocol)})${ends === undefined ? '' : `, pod port ${ends}`}`,
      ...(missing ? [`   WARNING: no container of pod ${sample.name} has a port named ${target.targetPort}`] : []),
    ];
  });
}

/** Whether callers connect in a way that the pods accept (TLS settings of a DestinationRule against PeerAuthentication). */
function tlsConflicts(subject: ServiceSubject): readonly string[] {
  const { view, service, targets, dump } = subject;
  const pod = subject.pod ?? subject.workloads[0];
  if (!pod) return [];
  const rule = ruleFor(view, service, pod.namespace, pod.labels);
  const { mode, portModes } = peerAuthenticationOf(view, pod.namespace, pod.labels);
  return targets.flatMap((target) => {
    const ends = targetOf(target, pod);
    const wanted = ends === undefined ? mode : (portModes.get(ends) ?? mode);
    const tls = tlsModeOf(rule, target.port);
    const accepted = dump && ends !== undefined ? acceptedBy(dump, ends) : undefined;
    return [
      ...(wanted === 'STRICT' && (tls === 'DISABLE' || tls === 'SIMPLE')
        ? [
            `   WARNING: callers use TLS mode ${tls} for port ${target.port}, but the pods take only mutual TLS: requests fail`,
          ]
        : []),
      ...(wanted === 'DISABLE' && tls === 'ISTIO_MUTUAL'
        ? [
            `   WARNING: callers use mutual TLS for port ${target.port}, but the pods take only plaintext: requests fail`,
          ]
        : []),
      ...(accepted && wanted === 'STRICT' && accepted.plain
        ? [`   WARNING: port ${ends} must take only mutual TLS, but the pod's Envoy takes plaintext too`]
        : []),
    ];
  });
}

/** What the pod's Envoy does not have of what the objects say. */
function missingInEnvoy(
  subject: ServiceSubject,
  rules: readonly string[],
  virtualServices: readonly string[],
): readonly string[] {
  const { dump, service } = subject;
  if (!dump) return [];
  if (!knowsService(dump, service.hostname))
    return [`   Note: this pod itself cannot call ${service.hostname} by its sidecar's routes (Sidecar or exportTo)`];
  const has = new Set([...rulesInEnvoy(dump, service.hostname), ...virtualServicesInEnvoy(dump, service.hostname)]);
  return [
    ...rules.filter((name) => !has.has(name)).map((name) => `DestinationRule ${name}`),
    ...virtualServices.filter((name) => !has.has(name)).map((name) => `VirtualService ${name}`),
  ].map(
    (what) =>
      `   WARNING: ${what} is not in the configuration of the pod's Envoy (istioctl proxy-status POD tells more)`,
  );
}

/** Everything that applies to a service: ports, how callers connect, where their requests go, and from where outside they come in. */
export function serviceLines(subject: ServiceSubject): readonly string[] {
  const { view, service, pod, workloads } = subject;
  const caller = pod ?? workloads[0];
  const rule = ruleFor(view, service, caller?.namespace ?? service.namespace, caller?.labels ?? {});
  const routing: RoutingSubject = { service, rule, pod: pod?.labels };
  const inside = meshRoutesOf(view.mesh.virtualServices.current, service);
  const unused = unusedRules(view, service, rule);
  const nameOf = ({ origin }: { readonly origin: { readonly name: string; readonly namespace: string } }) =>
    `${origin.name}.${origin.namespace}`;
  // Of several VirtualServices for one host the oldest holds.
  const [first, ...others] = inside;
  const lines = [
    `Service: ${service.name}${pod && pod.namespace === service.namespace ? '' : `.${service.namespace}`}`,
    ...portLines(subject),
    ...(rule
      ? destinationLines(
          rule,
          service.hostname,
          pod?.labels,
          workloads.map(({ labels }) => labels),
        )
      : []),
    ...(unused.length > 0 ? [`   Not applied here: DestinationRule ${[...new Set(unused)].join(', ')}`] : []),
    ...(first ? [`VirtualService: ${nameOf(first)}, for requests inside the mesh`, ...routeLines(first, routing)] : []),
    ...others.map(
      (other) =>
        `   WARNING: VirtualService ${nameOf(other)} names the same host; the older ${first ? nameOf(first) : ''} comes first`,
    ),
    ...tlsConflicts(subject),
    ...missingInEnvoy(
      subject,
      (rule?.origins ?? []).slice(0, 1).map(({ name, namespace }) => `${name}.${namespace}`),
      first ? [nameOf(first)] : [],
    ),
  ];
  for (const { gateway, virtualService, urls } of exposuresOf(view, service))
    lines.push(
      `Exposed by Gateway ${gateway}:`,
      ...urls.map((url) => `   ${url}`),
      `   VirtualService: ${nameOf(virtualService)}`,
      ...routeLines(virtualService, routing).map((line) => `   ${line}`),
    );
  return lines;
}
