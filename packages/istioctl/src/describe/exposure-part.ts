import { hostCovers, hostsOverlap, type Service, selectorMatches, type VirtualService } from '@istio-ts/mesh';
import type { KubeObject } from '@istio-ts/kube';
import type { MeshView } from './mesh-view.ts';
import { gatewayRoutesOf } from './routing-part.ts';

interface KubePort {
  readonly name?: string;
  readonly port: number;
  readonly targetPort?: number | string;
  readonly nodePort?: number;
}
interface KubeServiceSpec {
  readonly type?: string;
  readonly selector?: Readonly<Record<string, string>>;
  readonly ports?: readonly KubePort[];
  readonly externalIPs?: readonly string[];
}
interface KubeServiceStatus {
  readonly loadBalancer?: { readonly ingress?: readonly { readonly ip?: string; readonly hostname?: string }[] };
}

/** Where a gateway takes requests for a service from outside. */
export interface Exposure {
  readonly gateway: string;
  readonly virtualService: VirtualService;
  /** Where people reach it, or why they cannot. */
  readonly urls: readonly string[];
}

/** Kubernetes services in front of the pods that a gateway selects. */
function servicesOf(view: MeshView, selector: Readonly<Record<string, string>> | undefined): readonly KubeObject[] {
  const pods = view.pods.filter(({ metadata }) => selectorMatches(selector, metadata.labels ?? {}));
  return view.services.filter(({ metadata, spec }) => {
    const own = (spec as KubeServiceSpec | undefined)?.selector;
    return (
      own !== undefined &&
      Object.keys(own).length > 0 &&
      pods.some(
        (pod) => pod.metadata.namespace === metadata.namespace && selectorMatches(own, pod.metadata.labels ?? {}),
      )
    );
  });
}

const schemes: Readonly<Record<string, string>> = {
  HTTP: 'http',
  HTTP2: 'http',
  GRPC: 'http',
  'GRPC-WEB': 'http',
  HTTPS: 'https',
  TLS: 'tls',
};
const defaultPorts: Readonly<Record<string, number>> = { http: 80, https: 443 };

/** The addresses of a port of a gateway: of its load balancers, else how else it can be reached. */
function addressesFor(services: readonly KubeObject[], port: number, protocol: string): readonly string[] {
  const scheme = schemes[protocol.toUpperCase()] ?? 'tcp';
  return services.flatMap((service) => {
    const spec = (service.spec ?? {}) as KubeServiceSpec;
    const published = spec.ports?.find(({ port: own, targetPort }) => own === port || targetPort === port);
    if (!published) return [];
    const shown = (host: string, number: number) =>
      `${scheme}://${host.includes(':') ? `[${host}]` : host}${number === defaultPorts[scheme] ? '' : `:${number}`}`;
    const status = (service.status ?? {}) as KubeServiceStatus;
    const outside = [
      ...(status.loadBalancer?.ingress ?? []).map(({ ip, hostname }) => ip ?? hostname ?? ''),
      ...(spec.externalIPs ?? []),
    ].filter(Boolean);
    if (outside.length > 0) return outside.map((host) => shown(host, published.port));
    const { name, namespace } = service.metadata;
    if (published.nodePort !== undefined) return [`${scheme}://NODE:${published.nodePort} (${name}.${namespace})`];
    return [`${shown(`${name}.${namespace}`, published.port)} (inside the cluster only)`];
  });
}

/** Where requests from outside come in for a service: gateways whose VirtualServices send to it. */
export function exposuresOf(view: MeshView, service: Service): readonly Exposure[] {
  const gateways = view.mesh.gateways.current;
  return gatewayRoutesOf(view.mesh.virtualServices.current, service).flatMap((virtualService) =>
    (virtualService.spec.gateways ?? [])
      .filter((name) => name !== 'mesh')
      .map((name): Exposure => {
        const gateway = gateways.find(({ origin }) => `${origin.namespace}/${origin.name}` === name);
        if (!gateway)
          return { gateway: name, virtualService, urls: [`WARNING: there is no Gateway ${name}: nothing comes in`] };
        const services = servicesOf(view, gateway.spec.selector);
        const hosts = virtualService.spec.hosts ?? [];
        const urls = (gateway.spec.servers ?? []).flatMap((server) => {
          const offered = (server.hosts ?? []).map((host) => host.split('/').at(-1) ?? host);
          const common = hosts.filter((host) => offered.some((own) => hostsOverlap(own, host)));
          if (common.length === 0) return [];
          const shared = common.map((host) =>
            host === '*' ? (offered.find((own) => hostCovers(host, own)) ?? host) : host,
          );
          const names = shared.includes('*') ? '' : ` for host ${shared.join(', ')}`;
          const { number = 0, protocol = '' } = server.port ?? {};
          return addressesFor(services, number, protocol).map((address) => `${address}${names}`);
        });
        if (urls.length > 0) return { gateway: name, virtualService, urls };
        const why =
          services.length === 0
            ? 'no running pod with a service matches its selector'
            : 'none of its servers has a host and port that fit';
        return { gateway: name, virtualService, urls: [`WARNING: nothing comes in through it: ${why}`] };
      }),
  );
}
