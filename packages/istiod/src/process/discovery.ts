import { existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { defaultMeshConfig, VERSION } from '@istio-ts/api';
import { kubernetesTypes } from '@istio-ts/api/resource-types';
import { createKubeClient, type KubeObject, type ListOptions, loadKubeConfig } from '@istio-ts/kube';
import { createMesh, MeshSources, trustDomainOf, watchMesh } from '@istio-ts/mesh';
import { MetricsRegistry } from '@istio-ts/metrics';
import { istiodDnsNames } from '@istio-ts/security';
import { createEngine, envoyFilterProblems, withBootstraps, withGrpcClients } from '@istio-ts/xds';
import { createInjectionHandler, watchInjectorConfig } from '../admission/inject.ts';
import { watchSurroundings } from '../admission/surroundings.ts';
import { createValidationHandler } from '../admission/validate.ts';
import { createAdsServer } from '../ads/server.ts';
import { reportAnalysis } from '../analysis/report-analysis.ts';
import { authorityFolder } from '../authority/folder.ts';
import { keepAuthority } from '../authority/keeper.ts';
import { stockBootstrap } from '../bootstrap/stock-bootstrap.ts';
import { createCaService } from '../ca/service.ts';
import { resolveGatewayNames, resolveName } from '../config/gateway-names.ts';
import { isConfiguration, readConfigSources, readsKubernetes } from '../config/config-sources.ts';
import { watchMeshConfig } from '../config/mesh-config.ts';
import { keepClusterTrustBundle } from '../controllers/cluster-trust-bundle.ts';
import { keepAutoAddresses } from '../controllers/auto-allocate-status.ts';
import { reportGatewayConflicts } from '../controllers/gateway-conflicts.ts';
import { writeIngressStatus } from '../controllers/ingress-status.ts';
import { untaintReadyNodes } from '../controllers/node-untaint.ts';
import { keepRootCertificates } from '../controllers/root-certificates.ts';
import { keepWebhookCertificates } from '../controllers/webhook-certificates.ts';
import { createWorkloadRegistration } from '../controllers/workload-registration.ts';
import { createGrpcServers } from '../grpc/servers.ts';
import { controlZRoutes } from '../http/controlz.ts';
import { createDebug, debugText } from '../http/debug.ts';
import { createHttpServer } from '../http/server.ts';
import { createHttpServers } from '../http/servers.ts';
import { RateLimit } from '../identity/rate-limit.ts';
import { withSecretAccess } from '../identity/secret-access.ts';
import { startTokenKeys } from '../jwks/start.ts';
import { createLoggers } from '../log.ts';
import { LogScopes, parseLogLevels } from '../log-scopes.ts';
import { createEngineReports } from '../metrics/engine.ts';
import {
  createEventMetrics,
  createTargetMetrics,
  registerEndpointMetrics,
  registerFilterMetrics,
} from '../metrics/kubernetes.ts';
import { registerMeshMetrics } from '../metrics/mesh.ts';
import {
  createAdsMetrics,
  createCaMetrics,
  registerAuthorityMetrics,
  registerProcessMetrics,
} from '../metrics/pilot.ts';
import { withNameTables } from '../nds/name-tables.ts';
import type { ListenAddress, Settings } from '../settings.ts';
import { startTrustBundles } from '../trust/start.ts';
import { certificateSubject } from './certificate-subject.ts';
import { createConfigDistribution } from './config-distribution.ts';
import { debugCommands, deliveryCommands } from './debug-commands.ts';
import { collectWhenQuiet } from './idle-collection.ts';
import { createIdentities, rootsOfSigner } from './identities.ts';
import { keepOwnCertificate } from './own-certificate.ts';
import { persist } from './persist.ts';
import { reportProblems, wasRefused } from './report-problems.ts';
import { steadyClient } from './steady-client.ts';
import { surviveUncaught } from './uncaught.ts';

const serverCertificateMs = 365 * 24 * 3600 * 1000;
/** How long proxies wait for the first keys of tokens. */
const firstKeysMs = 10_000;
/** How long a signer of the cluster may take for istiod's own certificate. */
const signerMs = 30_000;
const renewalMs = 24 * 3600 * 1000;
/** setTimeout cannot wait longer. */
const LONGEST_TIMER = 2 ** 31 - 1;

/** Runs work after a while, without keeping the process alive; the result cancels. */
function delayed(ms: number, work: () => void): () => void {
  const timer = setTimeout(work, Math.min(ms, LONGEST_TIMER)).unref();
  return () => clearTimeout(timer);
}

/** The chart names a kubeconfig for remote clusters that is mounted only where there is one (Secret `istio-kubeconfig`). */
function withoutAbsentKubeconfig(
  env: Readonly<Record<string, string | undefined>>,
): Readonly<Record<string, string | undefined>> {
  const { KUBECONFIG: file, ...rest } = env;
  return file !== undefined && existsSync(file) ? env : rest;
}

/** Which Secrets istiod lists: never those that no proxy can have (tokens, Helm's records), which then do not even pass through its memory. */
function secretLists(namespaces: readonly string[] | undefined): readonly ListOptions[] {
  const fieldSelector = ['helm.sh/release.v1', 'kubernetes.io/service-account-token', 'bootstrap.kubernetes.io/token']
    .map((type) => `type!=${type}`)
    .join(',');
  return namespaces?.map((namespace) => ({ namespace, fieldSelector })) ?? [{ fieldSelector }];
}

/** A running control plane. */
export interface Discovery {
  /** Ends everything: streams are told to reconnect, requests under way get `graceMs` to end. */
  close(graceMs: number): Promise<void>;
}

/**
 * Starts the control plane: watches the cluster, keeps the mesh model and every proxy's configuration current, signs certificates, answers the
 * webhooks. Resolves when all ports listen; `/ready` says when the first configuration is complete. While the cluster cannot be reached or the CA's
 * secret cannot be used it says so and tries again. Rejects for settings that cannot work: no kubeconfig, or a port that cannot be opened.
 */
export async function startDiscovery(
  settings: Settings,
  env: Readonly<Record<string, string | undefined>>,
  args: readonly string[],
): Promise<Discovery> {
  const started = performance.now();
  const scopes = new LogScopes({
    outputLevels: parseLogLevels(settings.logLevels),
    stackTraceLevels: parseLogLevels(settings.stackTraceLevels, 'log_stacktrace_level', 'none'),
    callers: new Set(settings.logCallers),
  });
  const logger = createLoggers({
    scopes,
    json: settings.logAsJson,
    now: () => new Date(),
    write: (line) => void process.stdout.write(line),
  });
  const log = logger('istiod', 'Start, end and health of the control plane');
  const metrics = new MetricsRegistry();
  const uncaught = metrics.counter('istiod_uncaught_errors_total', 'Errors that no part of istiod was prepared for.');
  const stopSurviving = surviveUncaught(process, log, () => uncaught.add());
  // A reader of the log that goes away is no reason to end.
  process.stdout.on('error', () => undefined);
  registerProcessMetrics(metrics, VERSION, () => (performance.now() - started) / 1000);

  const config = loadKubeConfig({
    env: withoutAbsentKubeconfig(env),
    preferInCluster: true,
    ...(settings.kubeconfig !== undefined && { kubeconfig: settings.kubeconfig }),
  });
  const connection = createKubeClient(config, { userAgent: 'pilot-discovery', dropManagedFields: true });
  const client = steadyClient(connection, {
    log: logger('kube', 'Requests to the API server'),
    now: Date.now,
    onFailure: () => uncaught.add(),
  });
  log.info(
    `istiod ${VERSION}, revision ${settings.revision}, cluster ${settings.clusterId}, API server ${config.server}`,
  );

  const authorityLog = logger('ca', 'Signing of certificates');
  const { authority: ca } = settings;
  let authorityOutcome: (outcome: 'taken' | 'refused') => void = () => undefined;
  const authority = await persist(
    'the CA cannot be loaded',
    () =>
      keepAuthority({
        client,
        namespace: settings.namespace,
        rule: { ...ca, organization: settings.trustDomain },
        defaultWorkloadTtlMs: ca.defaultWorkloadTtlMs,
        checkIntervalMs: ca.checkIntervalMs,
        firstCheckMs: ca.jitter ? Math.random() * ca.checkIntervalMs : ca.checkIntervalMs,
        selfSignedInCacerts: ca.selfSignedInCacerts,
        folder: authorityFolder(ca.folder),
        now: () => new Date(),
        after: delayed,
        onOutcome: (outcome) => authorityOutcome(outcome),
        log: authorityLog,
      }),
    { log, sleep },
  );
  ({ outcome: authorityOutcome } = registerAuthorityMetrics(metrics, authority.current, Date.now));
  log.info(
    `the CA's root is ${authority.source} and valid until ${authority.current().anchor.notAfter.toISOString()}, its own certificate until ${authority.current().notAfter.toISOString()}`,
  );
  let trustBundles: ReturnType<typeof startTrustBundles> | undefined;
  const serverTls = () => {
    const { root, issueServer } = authority.current();
    const { chain, key } =
      ownCertificate.current() ??
      issueServer({
        dnsNames: istiodDnsNames(settings.namespace, settings.revision),
        ttl: serverCertificateMs,
        now: new Date(),
      });
    // Proxies whose certificates another authority gave are clients too.
    return { cert: chain, key, ca: (trustBundles?.own() ?? root) + identities.externalRoots() };
  };

  const graphLog = logger('model', 'Services, workloads and policies of the mesh');
  const sources = new MeshSources({
    meshConfig: defaultMeshConfig(),
    checkPatches: envoyFilterProblems,
    onError: ({ collection, key, error }) =>
      graphLog.error(`${collection} ${key}: ${error instanceof Error ? (error.stack ?? error.message) : error}`),
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
  const countTargets = createTargetMetrics(metrics, mesh);
  const engine = createEngine(mesh, createEngineReports(metrics, logger('xds', 'Making of configuration for proxies')));

  const identities = createIdentities({
    client,
    settings: settings.identity,
    tokenAudiences: settings.tokenAudiences,
    workloadTtl: { defaultMs: ca.defaultWorkloadTtlMs, maxMs: ca.maxWorkloadTtlMs },
    mesh,
    logger,
  });
  const { authenticateToken } = identities;
  const ownCertificate = await persist(
    'istiod has no certificate of its own',
    () =>
      keepOwnCertificate(settings.identity.ownCertificate, {
        client,
        dnsNames: istiodDnsNames(settings.namespace, settings.revision),
        rootsOf: (signer) => rootsOfSigner(mesh.config.current, signer),
        after: delayed,
        sleep,
        now: () => new Date(),
        timeoutMs: signerMs,
        log,
      }),
    { log, sleep },
  );
  // Identities are of the mesh's trust domain as it is now, not as it was at the start.
  const trust = {
    get trustDomain() {
      return trustDomainOf(mesh.config.current);
    },
    trustDomainAliases: () => mesh.config.current.trustDomainAliases ?? [],
  };
  let runDebug: ReturnType<typeof createDebug> | undefined;
  const adsLog = logger('ads', 'Connected proxies and what is sent to them');
  const names = withNameTables(withBootstraps(withGrpcClients(engine), stockBootstrap), mesh);
  const registration = createWorkloadRegistration(
    client,
    { controller: settings.podName, ...settings.workloadEntries, now: () => new Date() },
    logger('registration', 'Workloads outside Kubernetes'),
  );
  const secretAccess = withSecretAccess(
    names.source,
    client,
    logger('secrets', 'Which proxies may have Secrets of their namespace'),
  );
  const perSecond = settings.connectionsPerSecond;
  const connections = new RateLimit({ perSecond, burst: Math.max(1, perSecond) }, Date.now);
  const ads = createAdsServer({
    source: secretAccess.source,
    checkIdentity: settings.checkIdentity,
    ...(perSecond > 0 && { admits: () => connections.take('') }),
    authenticateToken,
    get trustDomain() {
      return trust.trustDomain;
    },
    trustDomainAliases: trust.trustDomainAliases,
    systemNamespace: settings.namespace,
    controlPlaneId: JSON.stringify({ Component: 'istiod', ID: settings.podName, Info: { version: VERSION } }),
    metrics: createAdsMetrics(metrics, VERSION),
    log: adsLog,
    now: Date.now,
    debug: (command, caller) => runDebug && debugText(runDebug)(command, caller),
    onConnection: ({ connectionId, node }, state) => {
      adsLog.info(`${connectionId} ${state}`);
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
  let meshSynced = false;
  runDebug = createDebug({
    connections: ads.connections,
    systemNamespace: settings.namespace,
    commands: {
      ...debugCommands(mesh, sources, engine),
      ...deliveryCommands({ clusterId: settings.clusterId, synced: () => meshSynced, distribution }),
    },
  });
  const certificates = createCaService({
    authority: () => identities.externalCa ?? authority.current(),
    ...identities.rules,
    get trustDomain() {
      return trust.trustDomain;
    },
    trustDomainAliases: trust.trustDomainAliases,
    authenticateToken,
    subject: (caller) => certificateSubject(mesh, caller),
    metrics: createCaMetrics(metrics),
    log: authorityLog,
    now: () => new Date(),
  });

  let notReady: string | undefined = 'the first list of the cluster is not complete';
  const injectionLog = logger('injector', 'Injection of sidecars and gateways');
  const injector = watchInjectorConfig(
    client,
    { namespace: settings.namespace, name: settings.injectorConfigMapName },
    injectionLog,
  );
  const surroundings = watchSurroundings(client, settings.nativeSidecars, injectionLog);
  const meshConfigLog = logger('meshconfig', 'The mesh configuration');
  const meshConfigWatch = watchMeshConfig(
    client,
    { namespace: settings.namespace, name: settings.meshConfigMapName },
    (value) => sources.meshConfig.set(value),
    meshConfigLog,
    (networks) => sources.meshNetworks.set(networks),
  );
  const http = createHttpServers({
    notReady: () => notReady,
    runDebug,
    metrics,
    version: VERSION,
    get trustDomain() {
      return trust.trustDomain;
    },
    authenticateToken,
    webhookTls: serverTls(),
    inject: createInjectionHandler({
      config: injector.current,
      meshConfig: () => mesh.config.current,
      surroundings: surroundings.of,
      revision: settings.revision,
      metrics,
      log: injectionLog,
    }),
    validate: createValidationHandler(metrics),
    log: logger('http', 'Webhooks, health, metrics and debug endpoints'),
  });
  const controlZ = createHttpServer({
    routes: controlZRoutes({
      version: VERSION,
      args,
      env,
      scopes,
      uptimeSeconds: () => (performance.now() - started) / 1000,
    }),
    log: logger('controlz', 'This introspection service'),
  });
  const grpc = createGrpcServers({
    discovery: ads.methods,
    certificates,
    tls: serverTls(),
    keepaliveMs: settings.keepaliveMs,
    log: logger('grpc', 'gRPC servers of proxies and certificates'),
  });

  // Objects of the first list that an earlier istiod refused: looked at when it is known what is wrong now.
  const refusedBefore: KubeObject[] = [];
  let recheck = (object: KubeObject): void => {
    if (wasRefused(object)) refusedBefore.push(object);
  };
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
        ...settings.analysis,
        clusterId: settings.clusterId,
        revision: settings.revision,
        namespace: settings.namespace,
        ...(settings.secretNamespaces && { secretNamespaces: settings.secretNamespaces }),
        identity: settings.podName,
        now: () => new Date(),
        sleep: (ms, signal) => sleep(ms, undefined, { signal, ref: false }),
      },
      logger('analysis', 'Analysis of the configuration'),
    );
  const meshWatch = watchMesh(client, sources, {
    admits: (object) => {
      recheck(object);
      distribution.observe(object);
      if (analysis) analysis.observe(object);
      return true;
    },
    lists: (resource) => (resource === kubernetesTypes.Secret ? secretLists(settings.secretNamespaces) : [{}]),
    onEvent: createEventMetrics(metrics),
    // Named sources of configuration take the place of the API server's; which they are is known before the first object.
    skips: (object) => !fromKubernetes && isConfiguration(object),
    schedule: (work) => {
      if (meshConfigKnown) setImmediate(work);
      else void meshConfigWatch.synced.then(work);
    },
    onFailure: (error) => {
      uncaught.add();
      graphLog.error(error instanceof Error ? (error.stack ?? error.message) : `${error}`);
    },
  });

  const at = ({ host, port }: ListenAddress) => ({ port, ...(host !== '' && { host }) });
  // Webhooks, health and metrics answer at once; proxies are let in when their configuration is complete, so that none ever sees half of it.
  await Promise.all([
    http.debug.listen(at(settings.http)),
    http.monitoring.listen(at(settings.monitoring)),
    controlZ.listen(at(settings.controlZ)),
  ]);
  await Promise.all([meshConfigWatch.synced, configSources, meshWatch.synced, injector.synced, surroundings.synced]);
  trustBundles = startTrustBundles(mesh, sources, {
    own: () => ({
      root: authority.current().root + (identities.externalCa ? identities.externalRoots() : ''),
      crl: authority.crl(),
    }),
    forbids: settings.tokenKeys.forbids,
    metrics,
    log: logger('trust', 'Authorities that proxies trust beside the CA'),
  });
  const tokenKeys = startTokenKeys(mesh, sources, settings.tokenKeys, {
    metrics,
    log: logger('jwks', 'Keys that tokens are checked with'),
  });
  // Proxies have keys of an earlier istiod, which are better than none.
  await Promise.race([tokenKeys.firstRound, sleep(firstKeysMs, undefined, { ref: false })]);
  meshSynced = true;
  const problems = reportProblems(mesh, client, metrics, log);
  recheck = problems.recheck;
  if (analysis) analysis.start();
  for (const object of refusedBefore.splice(0)) recheck(object);
  // Only now it is known which other authorities the mesh configuration names.
  if (identities.externalRoots() !== '') grpc.secure.setTls(serverTls());
  await Promise.all([
    http.webhooks.listen(at(settings.https)),
    grpc.plain.listen(at(settings.grpc)),
    grpc.secure.listen(at(settings.secureGrpc)),
  ]);
  notReady = undefined;
  log.info(
    `ready after ${Math.round(performance.now() - started)} ms: ${mesh.services.size} services, ${mesh.workloads.size} workloads, trust domain ${trust.trustDomain}`,
  );

  const rootMaps = keepRootCertificates(
    client,
    () => authority.current().root + ownCertificate.roots(),
    logger('rootcert', 'Root certificates in namespaces'),
    (namespace) => sources.discovers(namespace),
    { name: ca.rootConfigMap, key: 'root-cert.pem' },
  );
  const revocationMaps =
    ca.crlConfigMap !== undefined &&
    keepRootCertificates(
      client,
      authority.crl,
      logger('rootcert', 'Root certificates in namespaces'),
      (namespace) => sources.discovers(namespace),
      { name: ca.crlConfigMap, key: 'ca-crl.pem' },
    );
  const clusterBundle =
    ca.clusterTrustBundle &&
    keepClusterTrustBundle(
      client,
      () => authority.current().root,
      logger('rootcert', 'Root certificates in namespaces'),
    );
  const webhooks = keepWebhookCertificates(
    client,
    {
      revision: settings.revision,
      validationName: settings.validationWebhookName,
      root: () => authority.current().root + ownCertificate.roots(),
    },
    logger('webhooks', 'CA certificates in webhook configurations'),
  );
  const gatewayNames =
    settings.resolveGatewayNames &&
    resolveGatewayNames(mesh.gatewayNames, sources.resolvedNames, {
      resolve: (name) => resolveName(name),
      after: (ms, work) => {
        const timer = setTimeout(work, ms).unref();
        return () => clearTimeout(timer);
      },
      log: logger('networks', 'Gateways of networks'),
    });
  const autoAddresses =
    settings.autoAddresses &&
    keepAutoAddresses(
      client,
      sources.configs('ServiceEntry'),
      {
        ranges: settings.autoAddresses,
        namespace: settings.namespace,
        identity: settings.podName,
        now: () => new Date(),
        sleep: (ms, signal) => sleep(ms, undefined, { signal, ref: false }),
      },
      logger('ip-autoallocate', 'Addresses of ServiceEntries'),
    );
  const gatewayConflicts = reportGatewayConflicts(
    mesh,
    client,
    metrics,
    logger('gateway', 'Gateways that ask for what an older one has'),
  );
  const ingressStatus = writeIngressStatus(
    mesh,
    client,
    {
      namespace: settings.namespace,
      ingressNamespace: settings.ingressNamespace,
      identity: settings.podName,
      now: () => new Date(),
      sleep: (ms, signal) => sleep(ms, undefined, { signal, ref: false }),
    },
    logger('ingress status', 'Addresses in the status of Ingresses'),
  );
  const untaint =
    settings.untaint &&
    untaintReadyNodes(client, settings.untaint, logger('untaint', 'Taints of nodes without CNI agent'));
  const renew = (): void => {
    try {
      const tls = serverTls();
      grpc.secure.setTls(tls);
      http.webhooks.setTls(tls);
    } catch (error) {
      log.error(`istiod's own certificate was not renewed: ${error instanceof Error ? error.message : error}`);
    }
  };
  // Clients may show certificates of authorities that the mesh configuration names.
  const stopRenewing = sources.trustBundles.subscribe(renew);
  const renewal = setInterval(renew, renewalMs);
  renewal.unref();
  let externalRoots = identities.externalRoots();
  mesh.config.subscribe(() => {
    if (externalRoots === identities.externalRoots()) return;
    externalRoots = identities.externalRoots();
    rootMaps.refresh();
    webhooks.refresh();
    renew();
  });
  ownCertificate.subscribe(() => renew());
  // Whoever has to know an anchor hears of it before istiod shows a certificate that leads to it: signing follows trust (authority/keeper.ts).
  authority.subscribe(() => {
    rootMaps.refresh();
    if (revocationMaps) revocationMaps.refresh();
    if (clusterBundle) clusterBundle.refresh();
    trustBundles?.refresh();
    webhooks.refresh();
    renew();
  });

  return {
    close: async (graceMs) => {
      notReady = 'shutting down';
      clearInterval(renewal);
      stopRenewing();
      authority.close();
      ownCertificate.close();
      trustBundles?.close();
      if (revocationMaps) revocationMaps.close();
      if (clusterBundle) clusterBundle.close();
      untaint?.close();
      tokenKeys.close();
      gatewayConflicts.close();
      ingressStatus.close();
      autoAddresses?.close();
      analysis?.close();
      void configSources.then((sourcesRead) => sourcesRead.close());
      if (gatewayNames) gatewayNames.close();
      registration.close();
      secretAccess.close();
      names.close();
      for (const part of [rootMaps, webhooks, problems, meshWatch, meshConfigWatch, injector, surroundings])
        part.close();
      await Promise.all([
        grpc.plain.close(graceMs),
        grpc.secure.close(graceMs),
        http.webhooks.close(graceMs),
        http.debug.close(graceMs),
        http.monitoring.close(graceMs),
        controlZ.close(graceMs),
      ]);
      engine.close();
      connection.close();
      stopSurviving();
    },
  };
}

/** V8's own collector, which Node shows to programs that ask for it only. */
function collector(): () => void {
  setFlagsFromString('--expose-gc');
  return runInNewContext('gc') as () => void;
}
