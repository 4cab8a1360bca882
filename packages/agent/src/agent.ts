import { mkdirSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { WORKLOAD_SECRET } from './bootstrap/clusters.ts';
import { type AgentServices, startAgentServices } from './agent-services.ts';
import { withResolvedStatsd } from './bootstrap/remote-services.ts';
import { renderBootstrap } from './bootstrap/render.ts';
import { FileSecrets } from './certificates/file-secrets.ts';
import { askHelper } from './certificates/helper-process.ts';
import type { HelperRequest, HelperResponse } from './certificates/obtain.ts';
import { WorkloadCertificate } from './certificates/workload-certificate.ts';
import { type AgentSettings, EnvironmentError, hostOf, portOf } from './environment.ts';
import { envoyArguments } from './envoy/arguments.ts';
import { LazyExtensions } from './extensions/lazy.ts';
import { drainEnvoy, drainListeners } from './envoy/drain.ts';
import { startEnvoy } from './envoy/process.ts';
import { renderEnvoyUsage } from './envoy/usage.ts';
import { whyRefused } from './envoy/validate.ts';
import { writeGrpcBootstrap } from './grpc/bootstrap-file.ts';
import { readOptional } from './inputs.ts';
import { textField } from './json.ts';
import type { Logger } from './log.ts';
import { nodeId, nodeMetadata, serviceCluster } from './node-metadata.ts';
import { startSdsServer } from './sds/server.ts';
import type { SdsServer } from './sds/server.ts';
import type { SecretValue } from './sds/messages.ts';
import { SecretStore } from './sds/store.ts';
import { AgentMetrics } from './status/agent-metrics.ts';
import { readApplicationScrape } from './status/metrics-merge.ts';
import { readAppProbes } from './status/probes.ts';
import { Readiness } from './status/readiness.ts';
import { startStatusServer } from './status/server.ts';
import { unavailableSettings } from './unavailable.ts';

/** Where Envoy gets secrets when the usual socket is another program's. */
const OWN_SOCKET = './etc/istio/proxy/SDS';
/** Time that Envoy gets between SIGTERM and SIGKILL. */
const STOP_GRACE_MS = 5000;

export interface AgentOptions {
  readonly settings: AgentSettings;
  readonly version: string;
  readonly log: Logger;
  /** Resolves with the signal's name when the agent is to end; `second` when it is to hurry. */
  readonly signals: { readonly first: Promise<string>; readonly second: Promise<string> };
  /** Program that makes keys and talks to the CA. */
  readonly helper: string;
  /** CPUs of the container, 0 when not known. */
  readonly cpus: number;
}

/** Runs the proxy of a pod until a signal comes or Envoy ends; gives the exit code of the process. */
export async function runAgent(options: AgentOptions): Promise<number> {
  const { log, version } = options;
  const given = await withResolvedStatsd(options.settings, async (host) => {
    const { lookup } = await import('node:dns/promises');
    return (await lookup(host)).address;
  });
  // Another program of the node (a SPIRE agent, say) may already serve secrets on the socket; then it is the source, and Envoy asks the agent elsewhere.
  const { socketFile, foreignSocket } = given.certificates;
  const isForeign = await isListening(socketFile);
  if (foreignSocket && !isForeign)
    throw new EnvironmentError(
      'WORKLOAD_IDENTITY_SOCKET_FILE',
      `nobody serves secrets on ${socketFile}: start the program that gives workloads their identity first, or take the variable away to use the mesh's own CA`,
    );
  const settings = isForeign ? { ...given, certificates: { ...given.certificates, socketFile: OWN_SOCKET } } : given;
  if (!settings.envoyDisabled) for (const warning of unavailableSettings(settings)) log.warn(warning);
  const metrics = new AgentMetrics({
    version,
    now: Date.now,
    residentMemory: () => process.memoryUsage.rss(),
    cpuSeconds: () => {
      const { user, system } = process.cpuUsage();
      return (user + system) / 1e6;
    },
  });
  const store = new SecretStore();
  const files = new FileSecrets({
    store,
    debounceMs: settings.certificates.fileDebounceMs,
    log: log.scope('cache'),
    onFailure: () => metrics.fileSecretFailure(),
    onBlindness: () => metrics.fileWatcherFailure(),
  });
  const help = (request: HelperRequest): Promise<HelperResponse> => askHelper(options.helper, request);
  const foreign = isForeign
    ? await connectForeign({
        socketFile,
        node: { id: nodeId(settings), cluster: serviceCluster(settings), metadata: {} },
        store,
        log: log.scope('cache'),
      })
    : undefined;
  const certificate = new WorkloadCertificate({
    settings,
    store,
    files,
    metrics,
    log: log.scope('cache'),
    help,
    ...(foreign !== undefined && { foreign }),
  });
  const admin = { port: settings.ports.admin, host: onlyIpv6(settings) ? '::1' : '127.0.0.1' };
  log.info('proxy role', {
    role: settings.flags.role,
    id: nodeId(settings),
    version,
    discovery: settings.proxyConfig.discoveryAddress,
    ca: settings.certificates.caAddress,
  });

  let controlPlane: { close(): Promise<void> } | undefined;
  const openSocket = async (): Promise<string> => {
    controlPlane ??= await openControlPlane(settings, store, log.scope('xdsproxy'));
    return settings.grpc.socketFile;
  };
  // Its code is loaded when a filter asks for it: most proxies have none that needs a module.
  const extensions = new LazyExtensions({
    settings,
    version,
    help,
    log: log.scope('wasm'),
    include: (render) => metrics.include(render),
    openControlPlane: openSocket,
  });
  if (foreign !== undefined) log.info('secrets are served by another program', { socket: socketFile });
  const sds: SdsServer = await startSdsServer({
    socketFile: settings.certificates.socketFile,
    store,
    want: (name) => {
      if (foreign !== undefined && !name.startsWith('file-')) foreign.want(name);
      else files.want(name);
    },
    more: (path, call) => extensions.serve(path, call),
    log: log.scope('sds'),
  });
  certificate.start();

  let quit: (reason: string) => void = () => undefined;
  const quitAsked = new Promise<string>((resolve) => {
    quit = resolve;
  });
  const readiness = new Readiness({
    admin: settings.envoyDisabled ? undefined : admin,
    certificateProblem: () =>
      certificate.available ? undefined : (certificate.problem ?? 'the CA has not answered yet'),
    onReady: () => {
      metrics.startupFinished();
      log.info('Envoy proxy is ready');
    },
  });
  let services: AgentServices | undefined;
  const inboundOnly = settings.flags.role === 'sidecar';
  const status = await startStatusServer({
    port: settings.ports.status,
    readiness,
    merge: {
      admin,
      metrics,
      application: readApplicationScrape(settings.prometheusAnnotations, settings.ports.status),
      log: log.scope('status'),
    },
    probes: readAppProbes(settings.appProbers),
    probeTarget: probeTarget(settings),
    quit: () => quit('quitquitquit'),
    drain: () => drainListeners(admin, inboundOnly),
    debug: () => describeAgent(settings, version, store, help),
  });

  const stopServers = async (): Promise<void> => {
    extensions.close();
    await controlPlane?.close();
    await services?.close();
    certificate.close();
    foreign?.close();
    files.close();
    status.close();
    status.closeAllConnections();
    await sds.close();
  };

  if (settings.envoyDisabled) {
    log.info('Envoy is disabled: certificates and the way to the control plane for gRPC applications');
    const discovery = await startGrpcDiscovery(settings, version, store, log);
    await Promise.race([options.signals.first, quitAsked]);
    readiness.drain();
    await discovery.close();
    await stopServers();
    return 0;
  }

  const plain = renderBootstrap(settings, version);
  let envoyCommand = prepareEnvoy(settings, plain, options.cpus);
  if (settings.bootstrapFromControlPlane) {
    const socketFile = await openSocket();
    const extended = await withAdditions(plain, { settings, version, help, socketFile });
    if (extended !== plain) {
      envoyCommand = prepareEnvoy(settings, extended, options.cpus);
      const problem = await whyRefused(settings.envoyBinary, envoyCommand);
      if (problem !== undefined) {
        log.error('Envoy refuses the bootstrap with what EnvoyFilters add, so it starts without', { reason: problem });
        envoyCommand = prepareEnvoy(settings, plain, options.cpus);
      } else log.info('EnvoyFilters add to the bootstrap');
    }
  }
  const envoy = await startEnvoy(settings.envoyBinary, envoyCommand);
  log.info('Envoy started', { pid: envoy.pid });
  metrics.include(() => renderEnvoyUsage(envoy.pid));
  services = await startAgentServices({ settings, version, metrics, log, probeTarget: probeTarget(settings) });
  const ended = await Promise.race([
    envoy.exited.then((exit) => ({ kind: 'exit', exit }) as const),
    Promise.race([options.signals.first, quitAsked]).then((reason) => ({ kind: 'stop', reason }) as const),
  ]);
  if (ended.kind === 'exit') {
    const { code, signal } = ended.exit;
    log.error('Envoy ended by itself, so the agent ends too and the container is started anew', {
      code: code ?? undefined,
      signal: signal ?? undefined,
    });
    await stopServers();
    // Ended from outside in an orderly way is no failure.
    return code === 0 ? 0 : (code ?? 1);
  }
  log.info('agent draining proxy', { reason: ended.reason });
  readiness.drain();
  await drainEnvoy({
    admin,
    ...settings.drain,
    inboundOnly,
    log,
    exited: envoy.exited,
    hurry: options.signals.second,
  });
  await envoy.stop(STOP_GRACE_MS);
  await stopServers();
  log.info('proxy stopped');
  return 0;
}

/** Its code is loaded only where there is such a program. */
async function connectForeign(
  options: ConstructorParameters<typeof import('./sds/foreign-secrets.ts').ForeignSecrets>[0],
): Promise<import('./sds/foreign-secrets.ts').ForeignSecrets> {
  const { ForeignSecrets } = await import('./sds/foreign-secrets.ts');
  return new ForeignSecrets(options);
}

/** Gives gRPC applications their bootstrap file and a socket to the control plane. */
async function startGrpcDiscovery(
  settings: AgentSettings,
  version: string,
  store: SecretStore,
  log: Logger,
): Promise<{ close(): Promise<void> }> {
  const socket = await openControlPlane(settings, store, log.scope('xdsproxy'));
  writeGrpcBootstrap(settings, version);
  log.info('gRPC bootstrap is written', { file: settings.grpc.bootstrapFile });
  return socket;
}

/** Opens a socket that leads to the control plane with the workload's certificate. */
async function openControlPlane(
  settings: AgentSettings,
  store: SecretStore,
  log: Logger,
): Promise<{ close(): Promise<void> }> {
  // Only where it is needed, because TLS takes memory that an agent beside Envoy does without.
  const { startDiscoverySocket } = await import('./grpc/discovery-socket.ts');
  const address = settings.proxyConfig.discoveryAddress;
  const port = portOf(address, 15012);
  const plain = settings.proxyConfig.raw.controlPlaneAuthPolicy === 'NONE' || port === 15010;
  return startDiscoverySocket({
    socketFile: settings.grpc.socketFile,
    host: hostOf(address),
    port,
    serverName: settings.discoverySan,
    credentials: () => {
      if (plain) return 'plain';
      const certificate = store.get(WORKLOAD_SECRET)?.value;
      if (certificate?.kind !== 'certificate') return undefined;
      const root = settings.xdsRootCa === 'SYSTEM' ? undefined : readOptional(settings.xdsRootCa);
      return { key: certificate.key, chain: certificate.chain, root };
    },
    log,
  });
}

/** How long the control plane may take to say what it adds to the bootstrap; the workload's certificate is waited for too. */
const BOOTSTRAP_MS = 30_000;

/** The bootstrap with what EnvoyFilters add to it. Rejects where the control plane cannot be asked, or adds what is no bootstrap. */
async function withAdditions(
  bootstrap: object,
  options: {
    readonly settings: AgentSettings;
    readonly version: string;
    readonly help: (request: HelperRequest) => Promise<HelperResponse>;
    readonly socketFile: string;
  },
): Promise<object> {
  const { settings, version, help, socketFile } = options;
  const { fetchBootstrapAdditions } = await import('./bootstrap/additions.ts');
  const additions = await fetchBootstrapAdditions({
    socketFile,
    node: { id: nodeId(settings), cluster: serviceCluster(settings), metadata: nodeMetadata(settings, version) },
    timeoutMs: BOOTSTRAP_MS,
  });
  if (additions === undefined) return bootstrap;
  const answer = await help({ kind: 'bootstrap', bootstrap, additions: additions.toString('base64') });
  if (answer.kind === 'merged') return answer.bootstrap;
  throw new Error(
    `what the control plane adds to the bootstrap cannot be merged: ${answer.kind === 'failed' ? answer.message : 'the helper gave another answer'}`,
  );
}

/** Writes the bootstrap file and gives Envoy's command line. */
function prepareEnvoy(settings: AgentSettings, bootstrap: object, cpus: number): readonly string[] {
  const directory = settings.proxyConfig.configPath;
  const own = textField(settings.proxyConfig.raw, 'customConfigFile');
  const file = own || join(directory, 'envoy-rev.json');
  if (own === '') {
    mkdirSync(directory, { recursive: true });
    writeFileSync(file, JSON.stringify(bootstrap), { mode: 0o600 });
  }
  const override = settings.bootstrapOverride === '' ? undefined : readOptional(settings.bootstrapOverride);
  return [...envoyArguments(settings, file, cpus), ...(override === undefined ? [] : ['--config-yaml', override])];
}

function onlyIpv6(settings: AgentSettings): boolean {
  return settings.instanceIps.length > 0 && settings.instanceIps.every((ip) => ip.includes(':'));
}

/** Probes reach the application at the pod's address, from the address whose connections interception leaves alone. */
function probeTarget(settings: AgentSettings): { readonly address: string; readonly localAddress: string | undefined } {
  const address = settings.probeLoopback ? undefined : settings.instanceIps[0];
  if (address === undefined) return { address: onlyIpv6(settings) ? '::1' : '127.0.0.1', localAddress: undefined };
  return { address, localAddress: address.includes(':') ? '::6' : '127.0.0.6' };
}

function isListening(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.setTimeout(1000, () => socket.destroy(new Error('no answer')));
    socket.on('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
}

function shownPem(value: SecretValue | undefined): string {
  switch (value?.kind) {
    case 'certificate':
      return value.chain;
    case 'root':
      return value.trustedCa;
    default:
      return '';
  }
}

/** What the agent knows, without keys. */
async function describeAgent(
  settings: AgentSettings,
  version: string,
  store: SecretStore,
  help: (request: HelperRequest) => Promise<HelperResponse>,
): Promise<object> {
  const secrets: object[] = [];
  for (const name of store.names()) {
    const secret = store.get(name);
    const answer = await help({ kind: 'describe', pem: shownPem(secret?.value) });
    const summary = answer.kind === 'described' ? answer.summary : undefined;
    secrets.push({
      name,
      version: secret?.version,
      ...summary,
      ...(summary === undefined
        ? {}
        : { notBefore: new Date(summary.notBefore).toISOString(), notAfter: new Date(summary.notAfter).toISOString() }),
    });
  }
  return {
    version,
    id: nodeId(settings),
    discoveryAddress: settings.proxyConfig.discoveryAddress,
    caAddress: settings.certificates.caAddress,
    labels: settings.labels,
    residentMemoryBytes: process.memoryUsage.rss(),
    uptimeSeconds: Math.round(process.uptime()),
    secrets,
  };
}
