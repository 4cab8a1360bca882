import type { KubeObject } from '@istio-ts/kube';
import { watchMesh } from '@istio-ts/mesh';
import { reportAnalysis } from '../analysis/report-analysis.ts';
import { isConfiguration, readConfigSources, readsKubernetes } from '../config/config-sources.ts';
import { watchMeshConfig } from '../config/mesh-config.ts';
import { createBatchMetrics, createEventMetrics, registerClusterMetrics } from '../metrics/kubernetes.ts';
import { candidacy, type Ground } from './ground.ts';
import type { Model } from './model.ts';
import { reportProblems, wasRefused } from './report-problems.ts';
import { watchedLists } from './watched-lists.ts';

/** Everything that fills the model's sources. */
export interface Watches {
  /** The first lists are complete. */
  readonly synced: Promise<unknown>;
  /** Begins to tell people what is wrong with their objects: not before the model is complete. */
  readonly startReports: () => void;
  readonly close: () => void;
}

/** Watches the mesh configuration, the sources of configuration that it names, and the cluster. `observe` hears of each object before it is applied. */
export function startWatches(ground: Ground, model: Model, observe: (object: KubeObject) => void): Watches {
  const { settings, client, logger, log, metrics, countUncaught } = ground;
  const { sources, mesh } = model;
  const meshConfigLog = logger('meshconfig', 'The mesh configuration');
  const meshConfigWatch = watchMeshConfig(
    client,
    { namespace: settings.namespace, name: settings.meshConfigMapName },
    (value) => sources.meshConfig.set(value),
    meshConfigLog,
    (networks) => sources.meshNetworks.set(networks),
  );
  let fromKubernetes = true;
  let meshConfigKnown = false;
  const configSources = meshConfigWatch.synced.then(() => {
    meshConfigKnown = true;
    const { configSources: named } = mesh.config.current;
    fromKubernetes = readsKubernetes(named);
    mesh.config.subscribe(() => {
      if (JSON.stringify(mesh.config.current.configSources) !== JSON.stringify(named))
        meshConfigLog.warn('configSources changed: that takes effect when istiod starts again');
    });
    return readConfigSources(named, sources, meshConfigLog);
  });

  const analysis =
    settings.analysis &&
    reportAnalysis(
      sources,
      mesh,
      client,
      metrics,
      {
        ...candidacy(settings),
        ...settings.analysis,
        clusterId: settings.clusterId,
        revision: settings.revision,
        ...(settings.secretNamespaces && { secretNamespaces: settings.secretNamespaces }),
      },
      logger('analysis', 'Analysis of the configuration'),
    );
  // Objects of the first list that an earlier istiod refused: looked at when it is known what is wrong now.
  const refusedBefore: KubeObject[] = [];
  let recheck = (object: KubeObject): void => {
    if (wasRefused(object)) refusedBefore.push(object);
  };
  let problems: ReturnType<typeof reportProblems> | undefined;
  registerClusterMetrics(metrics);
  const timed = createBatchMetrics(metrics, () => performance.now());
  const meshWatch = watchMesh(client, sources, {
    admits: (object) => {
      recheck(object);
      observe(object);
      if (analysis) analysis.observe(object);
      return true;
    },
    ...watchedLists(settings),
    onEvent: createEventMetrics(metrics),
    // Named sources of configuration take the place of the API server's; which they are is known before the first object.
    skips: (object) => !fromKubernetes && isConfiguration(object),
    schedule: (work) => {
      const batch = timed(work);
      if (meshConfigKnown) setImmediate(batch);
      else void meshConfigWatch.synced.then(batch);
    },
    onFailure: (error) => {
      countUncaught();
      model.log.error(error instanceof Error ? (error.stack ?? error.message) : `${error}`);
    },
  });

  return {
    synced: Promise.all([meshConfigWatch.synced, configSources, meshWatch.synced]),
    startReports: () => {
      problems = reportProblems(mesh, client, metrics, log);
      recheck = problems.recheck;
      if (analysis) analysis.start();
      for (const object of refusedBefore.splice(0)) recheck(object);
    },
    close: () => {
      analysis?.close();
      void configSources.then((sourcesRead) => sourcesRead.close());
      problems?.close();
      meshWatch.close();
      meshConfigWatch.close();
    },
  };
}
