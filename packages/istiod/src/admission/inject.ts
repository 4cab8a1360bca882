import type { MeshConfig } from '@istio-ts/api';
import { kubernetesTypes } from '@istio-ts/api/resource-types';
import {
  fromSurroundings,
  type InjectionConfig,
  InjectionError,
  injectPod,
  type JsonObject,
  parseInjectionConfig,
  placeFromPath,
  type Surroundings,
} from '@istio-ts/injector';
import type { KubeClient, Watch } from '@istio-ts/kube';
import type { MetricsRegistry } from '@istio-ts/metrics';
import type { Logger } from '../log.ts';
import { type AdmissionAnswer, ReviewError, readReview, reviewAnswer } from './review.ts';

/** Follows the ConfigMap with the injection templates; a version that cannot be read leaves the last good one in force. */
export function watchInjectorConfig(
  client: KubeClient,
  where: { readonly namespace: string; readonly name: string },
  log: Logger,
): { readonly current: () => InjectionConfig | undefined; readonly synced: Promise<void>; readonly close: () => void } {
  let config: InjectionConfig | undefined;
  const { promise: synced, resolve } = Promise.withResolvers<void>();
  const watch: Watch = client.watch(
    kubernetesTypes.ConfigMap,
    { namespace: where.namespace, fieldSelector: `metadata.name=${where.name}` },
    (event) => {
      if (event.type === 'SYNCED') {
        if (!config)
          log.warn(`there is no ConfigMap ${where.namespace}/${where.name}: pods are not injected until it is there`);
        return resolve();
      }
      if (event.type === 'DELETED') {
        log.warn(`ConfigMap ${where.namespace}/${where.name} was deleted: its last version stays in force`);
        return;
      }
      const data = (event.object.data ?? {}) as Readonly<Record<string, string>>;
      try {
        config = parseInjectionConfig(data.config ?? '', data.values ?? '{}');
      } catch (error) {
        if (!(error instanceof InjectionError)) throw error;
        log.error(`${error.message}; the last valid templates stay in force`);
      }
    },
    (error) => log.debug(`watch of ConfigMap ${where.name}: ${error.message}`),
  );
  return { current: () => config, synced, close: () => watch.close() };
}

export interface InjectionHandlerOptions {
  readonly config: () => InjectionConfig | undefined;
  readonly meshConfig: () => MeshConfig;
  /** What of the cluster concerns the pods of a namespace. */
  readonly surroundings: (namespace: string) => Surroundings;
  readonly revision: string;
  readonly metrics: MetricsRegistry;
  readonly log: Logger;
}

/** Answers the injection webhook: the pod with its proxy as a JSON patch, or the pod as it is. A pod that cannot be injected is refused with the reason. */
export function createInjectionHandler(options: InjectionHandlerOptions): (review: unknown, path: string) => object {
  const { metrics, log } = options;
  const requests = metrics.counter('sidecar_injection_requests_total', 'Total number of sidecar injection requests.');
  const successes = metrics.counter(
    'sidecar_injection_success_total',
    'Total number of successful sidecar injection requests.',
  );
  const failures = metrics.counter(
    'sidecar_injection_failure_total',
    'Total number of failed sidecar injection requests.',
  );
  const skips = metrics.counter('sidecar_injection_skip_total', 'Total number of skipped sidecar injection requests.');
  const seconds = metrics.histogram(
    'sidecar_injection_time_seconds',
    'Total time taken for injection in seconds.',
    [0.1, 1, 3, 5, 10, 20, 30, 60],
  );

  const answer = (pod: JsonObject, namespace: string, path: string): AdmissionAnswer => {
    const config = options.config();
    if (!config)
      throw new InjectionError(
        'istiod',
        'ConfigMap istio-sidecar-injector',
        'is missing: install the chart istiod again',
      );
    const result = injectPod({
      pod,
      namespace,
      config,
      meshConfig: options.meshConfig(),
      revision: options.revision,
      ...fromSurroundings(options.surroundings(namespace)),
      ...placeFromPath(path),
    });
    if (result.injected) {
      successes.add();
      return { allowed: true, patch: result.patch };
    }
    skips.add();
    log.debug(`pod in ${namespace} is left alone: ${result.reason}`);
    return { allowed: true };
  };

  return (review, path) => {
    const started = performance.now();
    requests.add();
    let uid = '';
    let apiVersion = 'admission.k8s.io/v1';
    try {
      const read = readReview(review);
      uid = read.request.uid;
      apiVersion = read.apiVersion;
      const { object, namespace } = read.request;
      if (object?.kind !== 'Pod') return reviewAnswer(apiVersion, uid, { allowed: true });
      return reviewAnswer(
        apiVersion,
        uid,
        answer(object as unknown as JsonObject, namespace || object.metadata.namespace || 'default', path),
      );
    } catch (error) {
      failures.add();
      if (!(error instanceof InjectionError || error instanceof ReviewError))
        log.error(`injection failed: ${error instanceof Error ? error.stack : error}`);
      else log.warn(error.message);
      return reviewAnswer(apiVersion, uid, {
        allowed: false,
        message: `the sidecar cannot be injected: ${(error as Error).message}`,
      });
    } finally {
      seconds.observe((performance.now() - started) / 1000);
    }
  };
}
