import { setImmediate as turn } from 'node:timers/promises';
import { analyzeInSteps } from '@istio-ts/analysis/analyze';
import { authorizationPolicy } from '@istio-ts/analysis/analyzers/authorization-policy';
import { destinationRuleCa } from '@istio-ts/analysis/analyzers/destination-rule-ca';
import { destinationRulePods } from '@istio-ts/analysis/analyzers/destination-rule-pods';
import { envoyFilter } from '@istio-ts/analysis/analyzers/envoy-filter';
import { gatewayCertificate } from '@istio-ts/analysis/analyzers/gateway-certificate';
import { gatewayConflict } from '@istio-ts/analysis/analyzers/gateway-conflict';
import { gatewaySecret } from '@istio-ts/analysis/analyzers/gateway-secret';
import { gatewaySelector } from '@istio-ts/analysis/analyzers/gateway-selector';
import { ingressRouteRules } from '@istio-ts/analysis/analyzers/ingress-route-rules';
import { policySelectors } from '@istio-ts/analysis/analyzers/policy-selectors';
import { serviceEntryAddresses } from '@istio-ts/analysis/analyzers/service-entry-addresses';
import { serviceEntryProtocol } from '@istio-ts/analysis/analyzers/service-entry-protocol';
import { sidecarDefault, sidecarSelector } from '@istio-ts/analysis/analyzers/sidecar-selector';
import { telemetry } from '@istio-ts/analysis/analyzers/telemetry';
import { virtualServiceConflict } from '@istio-ts/analysis/analyzers/virtual-service-conflict';
import { virtualServiceDestination } from '@istio-ts/analysis/analyzers/virtual-service-destination';
import { virtualServiceGateway } from '@istio-ts/analysis/analyzers/virtual-service-gateway';
import { virtualServiceJwtClaim } from '@istio-ts/analysis/analyzers/virtual-service-jwt-claim';
import { virtualServiceRuleOrder } from '@istio-ts/analysis/analyzers/virtual-service-rule-order';
import { virtualServiceSubset } from '@istio-ts/analysis/analyzers/virtual-service-subset';
import type { Message } from '@istio-ts/analysis/message';
import { istioTypes } from '@istio-ts/api/resource-types';
import { type KubeClient, KubeApiError, type KubeObject, type ResourceType } from '@istio-ts/kube';
import type { Mesh, MeshSources } from '@istio-ts/mesh';
import type { MetricsRegistry } from '@istio-ts/metrics';
import { configKinds } from '../config/config-kinds.ts';
import { followLeadership, type LeadershipOptions } from '../controllers/leadership.ts';
import { updateStatus } from '../controllers/update-status.ts';
import type { Logger } from '../log.ts';
import { analysisStatus, toldProblems, wantedProblems } from './analysis-status.ts';
import { modelSnapshot, type ModelSnapshotOptions } from './model-snapshot.ts';

/** The Lease of the istiod that writes (istio-surface.md, leader elections). */
const lock = 'istio-analyze-leader';

/** Checks that need nothing but what istiod knows anyway. `istioctl analyze` has more: of pods' containers, of webhooks, of invalid objects. */
const analyzers = [
  authorizationPolicy,
  destinationRuleCa,
  destinationRulePods,
  envoyFilter,
  gatewayCertificate,
  gatewayConflict,
  gatewaySecret,
  gatewaySelector,
  ingressRouteRules,
  policySelectors,
  serviceEntryAddresses,
  serviceEntryProtocol,
  sidecarDefault,
  sidecarSelector,
  telemetry,
  virtualServiceConflict,
  virtualServiceDestination,
  virtualServiceGateway,
  virtualServiceJwtClaim,
  virtualServiceRuleOrder,
  virtualServiceSubset,
];

const typeOf = (kind: string): ResourceType | undefined =>
  (istioTypes as Readonly<Record<string, ResourceType | undefined>>)[kind];
const keyOf = ({ kind, metadata }: KubeObject): string => `${kind}/${metadata.namespace ?? ''}/${metadata.name ?? ''}`;

export interface AnalysisOptions
  extends Omit<LeadershipOptions, 'lock'>,
    Pick<ModelSnapshotOptions, 'clusterId' | 'revision' | 'secretNamespaces'> {
  /** What changes within this time is analysed at once; milliseconds. */
  readonly intervalMs: number;
  /** Statuses that are written at the same time. */
  readonly workers: number;
}

export interface AnalysisReport {
  /** Hears of every object of the watches, for what its status says. */
  readonly observe: (object: KubeObject) => void;
  /** The model is complete: begins to analyse. */
  readonly start: () => void;
  readonly close: () => void;
}

/**
 * Analyses the configuration of the mesh after it has changed, and tells of what it finds: in `status.validationMessages` and the condition `PassedAnalysis`
 * of the objects concerned, which say so no longer when the problem is gone, and in the metric `istiod_analysis_messages`. Of several istiods the one
 * that holds the Lease `istio-analyze-leader` analyses and writes; nobody asks for it before there is something to write.
 */
export function reportAnalysis(
  sources: MeshSources,
  mesh: Mesh,
  client: KubeClient,
  metrics: MetricsRegistry,
  options: AnalysisOptions,
  log: Logger,
): AnalysisReport {
  const gauge = metrics.gauge(
    'istiod_analysis_messages',
    'What the analysis of the configuration finds, by the code and level of its messages; of the istiod that writes it into statuses.',
  );
  let series: readonly { readonly code: string; readonly level: string }[] = [];
  /** What statuses tell of problems, by the object's key. */
  const told = new Map<string, string>();
  let leadership: { close(): void } | undefined;
  let leads = false;
  let timer: NodeJS.Timeout | undefined;
  let busy = false;
  let again = false;
  let closed = false;
  const ends: (() => void)[] = [];

  const findings = async (): Promise<readonly Message[]> => {
    const { clusterId, revision, namespace, secretNamespaces, now } = options;
    const snapshot = modelSnapshot(sources, mesh, {
      clusterId,
      revision,
      namespace,
      ...(secretNamespaces && { secretNamespaces }),
      now: now().getTime(),
    });
    const steps = analyzeInSteps(snapshot, { analyzers });
    for (;;) {
      const { done, value } = steps.next();
      if (done) return value;
      // Proxies wait for nothing of this.
      await turn();
    }
  };

  const count = (messages: readonly Message[]): void => {
    const counts = new Map<string, { readonly code: string; readonly level: string; count: number }>();
    for (const { code, level } of messages) {
      const entry = counts.get(code) ?? { code, level, count: 0 };
      entry.count++;
      counts.set(code, entry);
    }
    for (const labels of series) if (!counts.has(labels.code)) gauge.remove(labels);
    series = [...counts.values()].map(({ code, level }) => ({ code, level }));
    for (const { code, level, count: value } of counts.values()) gauge.set(value, { code, level });
  };

  const write = async (key: string, messages: readonly Message[]): Promise<void> => {
    const [kind = '', namespace = '', name = ''] = key.split('/');
    const type = typeOf(kind);
    if (!type) return;
    try {
      await updateStatus(client, type, { namespace, name }, (object) =>
        analysisStatus(object, messages, options.now()),
      );
      const wanted = wantedProblems(messages);
      if (wanted === undefined) told.delete(key);
      else told.set(key, wanted);
    } catch (error) {
      log.warn(
        `cannot write the status of ${kind} ${namespace}/${name}: ${error instanceof Error ? error.message : error}`,
      );
      // What the server refuses it will refuse again; the next change tries anew.
      if (!(error instanceof KubeApiError && error.status < 500 && error.status !== 409)) request();
    }
  };

  const run = async (): Promise<void> => {
    if (leadership && !leads) {
      count([]);
      return;
    }
    const messages = (await findings()).filter(({ object }) => object && typeOf(object.object.kind));
    if (closed) return;
    count(messages);
    const byObject = Map.groupBy(messages, ({ object }) =>
      object ? `${object.object.kind}/${object.namespace}/${object.name}` : '',
    );
    const wrong = [...new Set([...byObject.keys(), ...told.keys()])].filter(
      (key) => told.get(key) !== wantedProblems(byObject.get(key) ?? []),
    );
    if (wrong.length === 0) return;
    if (!leadership) {
      leadership = followLeadership(
        client,
        { ...options, lock },
        (now) => {
          leads = now;
          void runOnce();
        },
        log,
      );
      return;
    }
    const worker = async (): Promise<void> => {
      for (let key = wrong.pop(); key !== undefined && leads && !closed; key = wrong.pop())
        await write(key, byObject.get(key) ?? []);
    };
    await Promise.all(Array.from({ length: Math.min(options.workers, wrong.length) }, worker));
  };
  const runOnce = async (): Promise<void> => {
    if (closed) return;
    if (busy) {
      again = true;
      return;
    }
    busy = true;
    try {
      await run();
    } catch (error) {
      log.error(`the analysis failed: ${error instanceof Error ? (error.stack ?? error.message) : error}`);
    } finally {
      busy = false;
      if (again) {
        again = false;
        request();
      }
    }
  };
  const request = (): void => {
    if (timer || closed) return;
    timer = setTimeout(() => {
      timer = undefined;
      void runOnce();
    }, options.intervalMs).unref();
  };

  return {
    observe: (object) => {
      const problems = typeOf(object.kind) && toldProblems(object);
      if (problems !== undefined) told.set(keyOf(object), problems);
      else if (told.size > 0) told.delete(keyOf(object));
    },
    start: () => {
      ends.push(
        ...configKinds.map((kind) => sources.configs(kind).subscribe(request)),
        ...[sources.pods, sources.namespaces, sources.secrets, mesh.services].map((one) => one.subscribe(request)),
        mesh.config.subscribe(request),
      );
      request();
    },
    close: () => {
      closed = true;
      clearTimeout(timer);
      for (const end of ends) end();
      leadership?.close();
    },
  };
}
