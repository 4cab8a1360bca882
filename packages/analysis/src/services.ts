import { kubernetesService } from '@istio-ts/mesh/service';
import { readService, type ServiceFacts } from '@istio-ts/mesh/kubernetes/facts';
import { hostCovers, isWildcard, moreSpecificHost, resolveHost } from '@istio-ts/mesh/host';
import type { Service } from '@istio-ts/mesh/model';
import { serviceEntryServices } from '@istio-ts/mesh/service-entry';
import { visibleTo } from '@istio-ts/mesh/visibility';
import type { ConfigObject } from './config-object.ts';
import type { AnalysisContext } from './context.ts';
import type { InputKind } from './input-kinds.ts';

/** What an analyzer that asks for services must name among its inputs. */
export const serviceInputs: readonly InputKind[] = ['Service', 'ServiceEntry'];

/** A service of the mesh and the object that defines it. */
export interface KnownService extends Service {
  readonly object: ConfigObject;
}

const trustDomain = 'cluster.local';

/** A Service object as the mesh reads it. */
export const serviceFacts = (object: ConfigObject): ServiceFacts => {
  const facts = readService(object.object);
  return { ...facts, origin: { ...facts.origin, namespace: object.namespace } };
};

/** All services, by host. */
export class ServiceIndex {
  readonly all: readonly KnownService[];
  readonly #exact = new Map<string, KnownService[]>();
  readonly #wildcards: readonly KnownService[];

  readonly #domainSuffix: string;

  constructor(context: AnalysisContext) {
    this.#domainSuffix = context.snapshot.domainSuffix;
    this.all = context.snapshot.services ?? servicesOf(context);
    for (const service of this.all) {
      const same = this.#exact.get(service.hostname);
      if (same) same.push(service);
      else this.#exact.set(service.hostname, [service]);
    }
    this.#wildcards = this.all
      .filter(({ hostname }) => isWildcard(hostname))
      .sort((a, b) => moreSpecificHost(a.hostname, b.hostname));
  }

  /** The services that a host means to an object of `namespace`: those of this name that are visible there, else those of the closest wildcard. */
  lookup(host: string, namespace: string): readonly KnownService[] {
    const full = resolveHost(host, namespace, this.#domainSuffix);
    const visible = (service: KnownService): boolean => visibleTo(service.exportTo, namespace);
    const exact = (this.#exact.get(full) ?? []).filter(visible);
    if (exact.length > 0) return exact;
    const wildcard = this.#wildcards.find((service) => visible(service) && hostCovers(service.hostname, full));
    return wildcard ? [wildcard] : [];
  }
}

/** The services that the objects of a snapshot define. */
function servicesOf(context: AnalysisContext): readonly KnownService[] {
  const { meshConfig, clusters, domainSuffix } = context.snapshot;
  const kubernetes = clusters.flatMap((cluster) =>
    context.objects('Service', cluster).map((object) => ({
      ...kubernetesService(serviceFacts(object), meshConfig, domainSuffix, trustDomain),
      object,
    })),
  );
  const entries = context.istio('ServiceEntry').flatMap((object) =>
    serviceEntryServices(
      {
        origin: { kind: 'ServiceEntry', namespace: object.namespace, name: object.name },
        labels: object.labels,
        annotations: object.annotations,
        createdAt: 0,
        spec: object.spec,
      },
      meshConfig,
      () => context.objects('Namespace').find(({ name }) => name === object.namespace)?.labels ?? {},
    ).map((service) => ({ ...service, object })),
  );
  return [...kubernetes, ...entries];
}
