import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { VERSION } from '@istio-ts/api';
import type { MethodHandler } from '@istio-ts/envoy/grpc';
import { istioTypes } from '@istio-ts/api/resource-types';
import type { KubeObject } from '@istio-ts/kube';
import { trustDomainOf } from '@istio-ts/mesh';
import { withBootstraps, withGrpcClients } from '@istio-ts/xds';
import { createAdsServer } from '../ads/server.ts';
import { stockBootstrap } from '../bootstrap/stock-bootstrap.ts';
import { createCaService } from '../ca/service.ts';
import { createWorkloadRegistration } from '../controllers/workload-registration.ts';
import { healthDiscovery } from '../hds/server.ts';
import { createDebug, debugText, type RunDebug } from '../http/debug.ts';
import { RateLimit } from '../identity/rate-limit.ts';
import { withSecretAccess } from '../identity/secret-access.ts';
import { createRegistrationMetrics, createTargetMetrics } from '../metrics/kubernetes.ts';
import { createAdsMetrics, createCaMetrics } from '../metrics/pilot.ts';
import { withNameTables } from '../nds/name-tables.ts';
import { certificateSubject } from './certificate-subject.ts';
import type { Certificates } from './certificates.ts';
import { createConfigDistribution } from './config-distribution.ts';
import { debugCommands, deliveryCommands } from './debug-commands.ts';
import type { Ground } from './ground.ts';
import { collectWhenQuiet } from './idle-collection.ts';
import type { Model } from './model.ts';

/** What istiod does for proxies: it configures them and signs their certificates. */
export interface ProxyServices {
  /** gRPC methods that give proxies their configuration. */
  readonly discovery: Readonly<Record<string, MethodHandler>>;
  /** gRPC methods that sign certificates. */
  readonly certificates: Readonly<Record<string, MethodHandler>>;
  /** The debug commands, for people and for `istioctl`. */
  readonly runDebug: RunDebug;
  /** Hears of each object before it is applied to the model. */
  readonly observe: (object: KubeObject) => void;
  readonly close: () => void;
}

/** `synced` says whether the first configuration is complete. */
export function createProxyServices(
  { settings, client, logger, metrics }: Ground,
  { mesh, sources, engine }: Model,
  { authority, identities, log: caLog }: Certificates,
  synced: () => boolean,
): ProxyServices {
  const { authenticateToken } = identities;
  // Identities are of the mesh's trust domain as it is now, not as it was at the start.
  const trustDomain = () => trustDomainOf(mesh.config.current);
  const trustDomainAliases = () => mesh.config.current.trustDomainAliases ?? [];

  let runDebug: RunDebug | undefined;
  const log = logger('ads', 'Connected proxies and what is sent to them');
  const countTargets = createTargetMetrics(metrics, mesh);
  const names = withNameTables(withBootstraps(withGrpcClients(engine), stockBootstrap), mesh);
  const registration = createWorkloadRegistration(
    client,
    { controller: settings.podName, ...settings.workloadEntries, now: () => new Date() },
    logger('registration', 'Workloads outside Kubernetes'),
    createRegistrationMetrics(metrics),
  );
  const secretAccess = withSecretAccess(
    names.source,
    client,
    logger('secrets', 'Which proxies may have Secrets of their namespace'),
  );
  const perSecond = settings.connectionsPerSecond;
  const connections = new RateLimit({ perSecond, burst: Math.max(1, perSecond) }, Date.now);
  const authentication = {
    authenticateToken,
    get trustDomain() {
      return trustDomain();
    },
    trustDomainAliases,
  };
  const health = healthDiscovery({
    authentication,
    checkIdentity: settings.checkIdentity,
    groups: (namespace, name) => client.get(istioTypes.WorkloadGroup, name, namespace),
    onHealth: registration.health,
    log: logger('hds', 'Health that proxies find out'),
  });
  const ads = createAdsServer({
    source: secretAccess.source,
    checkIdentity: settings.checkIdentity,
    ...(perSecond > 0 && { admits: () => connections.take('') }),
    authenticateToken,
    get trustDomain() {
      return trustDomain();
    },
    trustDomainAliases,
    systemNamespace: settings.namespace,
    debugNamespaces: settings.debugNamespaces,
    controlPlaneId: JSON.stringify({ Component: 'istiod', ID: settings.podName, Info: { version: VERSION } }),
    metrics: createAdsMetrics(metrics, VERSION),
    log,
    now: Date.now,
    debug: (command, caller) => runDebug && debugText(runDebug)(command, caller),
    onConnection: ({ connectionId, node }, state) => {
      log.info(`${connectionId} ${state}`);
      registration[state](node);
      if (state === 'connected') countTargets(node);
    },
    onHealth: registration.health,
    onResponse: collectWhenQuiet({
      collect: collector(),
      heapUsed: () => process.memoryUsage().heapUsed,
      now: Date.now,
      later: (work, milliseconds) => void setTimeout(work, milliseconds).unref(),
    }),
  });
  const distribution = createConfigDistribution({
    connections: ads.connections,
    problems: (key) => (mesh.problems.get(key) ?? []).map(({ path, message }) => ({ path, message })),
    soon: (work) => void setImmediate(work),
  });
  runDebug = createDebug({
    connections: ads.connections,
    systemNamespace: settings.namespace,
    debugNamespaces: settings.debugNamespaces,
    commands: {
      ...debugCommands(mesh, sources, engine, settings.clusterId),
      ...deliveryCommands({ clusterId: settings.clusterId, synced, distribution }),
    },
  });
  const certificates = createCaService({
    authority: () => identities.externalCa ?? authority.current(),
    ...identities.rules,
    get trustDomain() {
      return trustDomain();
    },
    trustDomainAliases,
    authenticateToken,
    subject: (caller) => certificateSubject(mesh, caller),
    metrics: createCaMetrics(metrics),
    log: caLog,
    now: () => new Date(),
  });
  return {
    discovery: { ...ads.methods, ...health },
    certificates,
    runDebug,
    observe: distribution.observe,
    close: () => {
      registration.close();
      secretAccess.close();
      names.close();
    },
  };
}

/** V8's own collector, which Node shows to programs that ask for it only. */
function collector(): () => void {
  setFlagsFromString('--expose-gc');
  return runInNewContext('gc') as () => void;
}
