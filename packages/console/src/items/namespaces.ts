import type { NamespaceSummary } from '../api.ts';
import { fields, text } from '../mesh/read.ts';
import { groupHealth, worst } from '../mesh/health.ts';
import type { KubeObject } from '@istio-ts/kube';
import type { MeshState } from '../sources/mesh-reader.ts';
import { configKinds } from '../sources/mesh-reader.ts';
import { namespaceKey, trafficBy } from '../traffic/by-item.ts';
import type { TrafficSamples } from '../traffic/samples.ts';
import { TrafficSum } from '../traffic/traffic-sum.ts';

type Mode = NamespaceSummary['mutualTls'];

/** The mode that a PeerAuthentication asks for; UNSET where it leaves it to the next one above. */
function modeOf({ spec }: KubeObject): Mode {
  const mode = text(fields(fields(spec).mtls).mode);
  return mode === 'STRICT' || mode === 'PERMISSIVE' || mode === 'DISABLE' ? mode : 'UNSET';
}

/** A policy for a whole namespace: without a selector. Of several the oldest holds (Istio, PeerAuthentication). */
function policyOf(policies: readonly KubeObject[], namespace: string): Mode {
  const own = policies
    .filter(
      ({ metadata, spec }) =>
        metadata.namespace === namespace && Object.keys(fields(fields(fields(spec).selector).matchLabels)).length === 0,
    )
    .sort((a, b) => ((a.metadata.creationTimestamp ?? '') < (b.metadata.creationTimestamp ?? '') ? -1 : 1));
  return own[0] ? modeOf(own[0]) : 'UNSET';
}

/** What the workloads of a namespace accept, unless a policy of their own says otherwise; UNSET where nothing is in the mesh. */
export function mutualTlsOf(
  namespace: string,
  policies: readonly KubeObject[],
  rootNamespace: string,
  inMesh: boolean,
): Mode {
  const own = policyOf(policies, namespace);
  if (own !== 'UNSET') return own;
  const mesh = policyOf(policies, rootNamespace);
  if (mesh !== 'UNSET') return mesh;
  return inMesh ? 'PERMISSIVE' : 'UNSET';
}

/** Sums up namespaces. Pure. `problems` counts the messages about the configuration of each. */
export function summarize(
  namespaces: readonly string[],
  state: MeshState,
  samples: TrafficSamples,
  problems: ReadonlyMap<string, { readonly errors: number; readonly warnings: number }>,
  rootNamespace: string,
): readonly NamespaceSummary[] {
  const { mesh } = state;
  const traffic = trafficBy(samples, namespaceKey);
  const workloads = Map.groupBy(mesh.workloads, ({ namespace }) => namespace);
  const services = Map.groupBy(mesh.services, ({ namespace }) => namespace);
  const config = Map.groupBy(
    configKinds.flatMap((kind) => state.objects[kind]),
    ({ metadata }) => metadata.namespace ?? '',
  );
  return namespaces.map((name): NamespaceSummary => {
    const own = workloads.get(name) ?? [];
    const pods = own.flatMap((workload) => workload.pods);
    const withProxy = pods.filter(({ summary, ambient }) => summary.hasProxy || ambient).length;
    const sum = (traffic.get(name) ?? new TrafficSum()).traffic();
    const injection = mesh.namespaces.get(name)?.injection;
    const { errors = 0, warnings = 0 } = problems.get(name) ?? {};
    return {
      name,
      ...(injection !== undefined && { injection }),
      mutualTls: mutualTlsOf(
        name,
        state.objects.PeerAuthentication,
        rootNamespace,
        injection !== undefined || withProxy > 0,
      ),
      services: services.get(name)?.length ?? 0,
      workloads: own.length,
      pods: pods.length,
      podsWithProxy: withProxy,
      configObjects: config.get(name)?.length ?? 0,
      errors,
      warnings,
      health:
        own.length === 0
          ? { state: 'idle', reasons: ['Nothing runs here'] }
          : worst([
              groupHealth([], mesh, sum),
              ...own.map((workload) => groupHealth([workload], mesh, new TrafficSum().traffic())),
            ]),
      traffic: sum,
    };
  });
}
