import type { ProxyConfig } from '@istio-ts/api';
import type { ScopedProxy } from '@istio-ts/mesh/model';

type Naming = Partial<Pick<ProxyConfig, 'serviceCluster' | 'tracingServiceName'>>;

/** What spans call the workload where Envoy does not take its node's cluster; the agent gives that the same name (ProxyConfig, `tracingServiceName`). */
export function tracedServiceName(proxy: ScopedProxy, { serviceCluster, tracingServiceName }: Naming): string {
  if (serviceCluster !== undefined && serviceCluster !== '' && serviceCluster !== 'istio-proxy') return serviceCluster;
  const canonical = proxy.canonicalName || 'istio-proxy';
  switch (tracingServiceName) {
    case 'CANONICAL_NAME_ONLY':
      return canonical;
    case 'CANONICAL_NAME_AND_NAMESPACE':
      return `${canonical}.${proxy.namespace}`;
    default:
      return `${proxy.labels.app ?? canonical}.${proxy.namespace}`;
  }
}

/**
 * Attributes of OpenTelemetry's semantic conventions for what runs on Kubernetes, from labels and annotations of the pod
 * (https://opentelemetry.io/docs/specs/semconv/non-normative/k8s-attributes/).
 */
export function semanticAttributes(proxy: ScopedProxy): {
  readonly serviceName: string;
  readonly attributes: Readonly<Record<string, string>>;
} {
  const { labels, metadata } = proxy;
  const annotations = (metadata.ANNOTATIONS ?? {}) as Readonly<Record<string, unknown>>;
  const annotated = (name: string): string | undefined => {
    const value = annotations[`resource.opentelemetry.io/${name}`];
    return typeof value === 'string' && value !== '' ? value : undefined;
  };
  const pod = typeof metadata.NAME === 'string' ? metadata.NAME : undefined;
  const serviceName =
    annotated('service.name') ??
    labels['app.kubernetes.io/instance'] ??
    labels['app.kubernetes.io/name'] ??
    (proxy.workloadName || pod || 'unknown_service');
  const version = annotated('service.version') ?? labels['app.kubernetes.io/version'];
  const instance = annotated('service.instance.id') ?? (pod === undefined ? undefined : `${proxy.namespace}.${pod}`);
  return {
    serviceName,
    attributes: {
      'service.namespace': annotated('service.namespace') ?? proxy.namespace,
      ...(version !== undefined && { 'service.version': version }),
      ...(instance !== undefined && { 'service.instance.id': instance }),
    },
  };
}
