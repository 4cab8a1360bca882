import { defaultMeshConfig } from '@istio-ts/api';
import { createMesh, type Mesh, MeshSources } from '@istio-ts/mesh';
import { createEngine, type Engine, envoyFilterProblems, telemetryProblems } from '@istio-ts/xds';
import type { Logger } from '../log.ts';
import { createEngineReports } from '../metrics/engine.ts';
import { registerEndpointMetrics, registerFilterMetrics } from '../metrics/kubernetes.ts';
import { registerMeshMetrics } from '../metrics/mesh.ts';
import type { Ground } from './ground.ts';

/** The way from objects to the configuration of proxies; nothing is in it until the watches fill the sources. */
export interface Model {
  readonly sources: MeshSources;
  readonly mesh: Mesh;
  readonly engine: Engine;
  readonly log: Logger;
}

export function createModel({ settings, logger, metrics }: Ground): Model {
  const log = logger('model', 'Services, workloads and policies of the mesh');
  const sources = new MeshSources({
    meshConfig: defaultMeshConfig(),
    checkPatches: envoyFilterProblems,
    checkTelemetry: telemetryProblems,
    onError: ({ collection, key, error }) =>
      log.error(`${collection} ${key}: ${error instanceof Error ? (error.stack ?? error.message) : error}`),
  });
  const mesh = createMesh(sources, {
    clusterId: settings.clusterId,
    domainSuffix: settings.dnsDomain,
    gatewaysSelectOwnNamespaceOnly: settings.gatewaysSelectOwnNamespaceOnly,
    quicListeners: settings.quicListeners,
    forbidsForeignHosts: settings.forbidsForeignHosts,
    http10: settings.http10,
    wireFilters: settings.wireFilters,
    switches: settings.switches,
    entriesSelectPods: settings.entriesSelectPods,
    servicesSelectEntries: settings.servicesSelectEntries,
    ingressNamespace: settings.ingressNamespace,
    keyFetching: settings.tokenKeys.fetching,
    forbidsKeysFrom: settings.tokenKeys.forbids,
  });
  registerMeshMetrics(metrics, mesh, sources);
  registerEndpointMetrics(metrics, sources);
  if (settings.envoyFilterStats) registerFilterMetrics(metrics, sources);
  const engine = createEngine(mesh, createEngineReports(metrics, logger('xds', 'Making of configuration for proxies')));
  return { sources, mesh, engine, log };
}
