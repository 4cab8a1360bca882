import * as fs from 'node:fs';
import { join } from 'node:path';
import { createKubeClient, type KubeObject } from '@istio-ts/kube';
import type { ApiServer } from '../apiserver/index.ts';
import { startApiServer } from '../apiserver/index.ts';
import { startControllers } from '../controllers/controllers.ts';
import { createEventRecorder } from '../controllers/events.ts';
import { createInformer } from '../controllers/informer.ts';
import * as kinds from '../controllers/kinds.ts';
import { startDnsServer } from '../dns/server.ts';
import { createUpstream } from '../dns/upstream.ts';
import { createZoneSource } from '../dns/zone-source.ts';
import { createImageStore } from '../images/image-store.ts';
import { API_PORT, createAddressPool, DNS_ADDRESS, NODE_ADDRESS, SERVICE_CIDR } from '../network/addresses.ts';
import { runCommand } from '../network/command.ts';
import { type HostServer, startHostAccess } from '../network/host-access.ts';
import { createPacketFilter } from '../network/packet-filter.ts';
import { startServiceProxy } from '../network/service-proxy.ts';
import { createCniChain, ensureCniConfig } from '../node/cni.ts';
import { createDialer } from '../node/dialer.ts';
import { createFifoPool } from '../node/fifo-pool.ts';
import { createCgroups, ensureDevices, hasProgram, machineCapacity } from '../node/machine.ts';
import { createNode, type LocalNode } from '../node/node.ts';
import { registerNode } from '../node/node-object.ts';
import type { NodeRuntime } from '../node-runtime.ts';
import { clusterLayout, programFile } from './layout.ts';
import type { ClusterSettings } from './messages.ts';
import { HostListenError, type Parent } from './parent.ts';
import { readJson, writeJson } from './process-file.ts';

/** A start that fails for a reason a new try does not mend; the message is for the user. */
export class FatalStartError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'FatalStartError';
  }
}

const PREFERRED_API_PORT = 6443;
const HALT_GRACE = 5;
const DOMAIN = 'cluster.local';

/**
 * Runs everything that lives inside the cluster's network namespace: API server, controllers, node, service proxy and DNS. Resolves once the cluster is
 * usable; the result stops it with all its pods.
 */
export async function startCluster(
  settings: ClusterSettings,
  parent: Parent,
  log: (line: string) => void,
): Promise<{ readonly stop: () => Promise<void> }> {
  const layout = clusterLayout(settings.name, settings.home);
  parent.setPhase({ phase: 'starting', step: 'API server' });
  let node: LocalNode | undefined;
  const runtime: NodeRuntime = {
    logs: async (...args) => ready(node).logs(...args),
    exec: async (...args) => ready(node).exec(...args),
    attach: async (...args) => ready(node).attach(...args),
    dial: async (...args) => ready(node).dial(...args),
  };
  const host = await openApiPort(settings, parent, layout.settings);
  const api = await startApiServer({
    stateDir: layout.api,
    runtime,
    serviceCidr: SERVICE_CIDR,
    listen: [
      { kind: 'tls-server', server: host.server },
      { kind: 'tls', host: NODE_ADDRESS, port: API_PORT },
      { kind: 'unix', path: layout.socket },
    ],
    certSans: [NODE_ADDRESS, settings.nodeName],
    advertise: { address: NODE_ADDRESS, port: API_PORT },
    log: (line) => log(`api: ${line}`),
  });
  const server = `https://127.0.0.1:${host.port}`;
  writeKubeconfig(api, server, settings.name, layout.kubeconfig);

  parent.setPhase({ phase: 'starting', step: 'node' });
  const client = createKubeClient({ socketPath: layout.socket }, { userAgent: 'istio-local', dropManagedFields: true });
  const onError = (what: string) => (error: Error) => log(`${what}: ${error.message}`);
  const inform = <T extends KubeObject>(type: Parameters<typeof createInformer>[1]) =>
    createInformer<T>(client, type, {}, onError(`watch of ${type.resource}`));
  const pods = inform<kinds.Pod>(kinds.PODS);
  const services = inform<kinds.Service>(kinds.SERVICES);
  const slices = inform<kinds.EndpointSlice>(kinds.ENDPOINT_SLICES);
  const namespaces = inform<KubeObject>(kinds.NAMESPACES);
  const configMaps = inform<kinds.ConfigMap>(kinds.CONFIG_MAPS);
  const secrets = inform<kinds.Secret>(kinds.SECRETS);
  const trustBundles = inform<kinds.ClusterTrustBundle>(kinds.CLUSTER_TRUST_BUNDLES);
  const informers = [pods, services, slices, namespaces, configMaps, secrets, trustBundles];

  const directories = {
    cniConfig: layout.cniConfig,
    cniBin: layout.cniBin,
    cniRun: layout.cniRun,
    cniLogs: layout.cniLogs,
  };
  await ensureCniConfig(directories);
  const devices = join(layout.run, 'dev');
  await ensureDevices(runCommand, devices);
  const cgroups = createCgroups(settings.name);
  const capacity = machineCapacity();
  fs.mkdirSync(join(settings.dist, 'bin'), { recursive: true });
  const lookup = {
    configMap: (namespace: string, name: string) => configMaps.get(namespace, name),
    secret: (namespace: string, name: string) => secrets.get(namespace, name),
  };
  const nodeEvents = createEventRecorder(client, 'kubelet', settings.nodeName, log);
  const created = createNode({
    name: settings.nodeName,
    pods,
    configMaps,
    secrets,
    trustBundles,
    dialer: createDialer(process.execPath, [programFile('local-dialer')], settings.name),
    context: {
      client,
      events: nodeEvents,
      images: createImageStore(join(layout.run, 'images'), layout.imageTable, {
        dist: settings.dist,
        node: process.execPath,
        envoy: settings.envoy,
        has: hasProgram,
      }),
      fifos: createFifoPool(runCommand, join(layout.run, 'fifos')),
      sandboxes: {
        cluster: settings.name,
        nodeName: settings.nodeName,
        run: runCommand,
        addresses: createAddressPool(),
        cni: createCniChain(directories, log),
      },
      volumes: {
        client,
        lookup,
        trustBundles: () => trustBundles.list(),
        run: runCommand,
        directories,
        claims: layout.claims,
        now: Date.now,
      },
      lookup,
      services: () => services.list(),
      facts: {
        hostIP: NODE_ADDRESS,
        nodeName: settings.nodeName,
        allocatable: { cpu: capacity.cpu ?? '1', memory: capacity.memory ?? '0' },
      },
      runDir: layout.run,
      logDir: layout.logs,
      devices,
      cgroup: (pod, container) => cgroups.forContainer(pod, container),
      log,
    },
  });
  node = created;
  await Promise.all(informers.map((informer) => informer.synced));

  const proxy = startServiceProxy(services, slices, createPacketFilter(runCommand), onError('service proxy'));
  await proxy.flush();
  const dns = await startDnsServer({
    host: DNS_ADDRESS,
    port: 53,
    domain: DOMAIN,
    source: createZoneSource(services, slices, namespaces),
    upstream: createUpstream((message) => parent.exchangeDns(message)),
    log,
  });
  const nodeObject = await registerNode(client, settings.nodeName, cgroups.missing);
  if (cgroups.missing !== undefined) nodeEvents.record(nodeObject, 'Warning', 'NoResourceLimits', cgroups.missing);
  await created.start();
  parent.setPhase({ phase: 'starting', step: 'controllers' });
  const controllers = await startControllers({
    client,
    pods,
    services,
    slices,
    namespaces,
    nodeName: settings.nodeName,
    processes: (pod) => created.processes(pod),
    log,
  });
  const access = startHostAccess({
    client,
    services,
    binder: parent,
    events: createEventRecorder(client, 'service-controller', settings.nodeName, log),
    log,
  });
  parent.setPhase({ phase: 'ready', server, apiPort: host.port });
  log(`cluster ${settings.name} is ready at ${server}`);

  return {
    async stop() {
      access.close();
      controllers.close();
      await created.halt(HALT_GRACE);
      created.close();
      for (const informer of informers) informer.close();
      client.close();
      await dns.close();
      await api.close();
    },
  };
}

function ready(node: LocalNode | undefined): LocalNode {
  if (node === undefined) throw new Error('the node is still starting');
  return node;
}

/** Opens the API server's port on the host; the port of the last time is used again, so that kubeconfigs stay right. */
async function openApiPort(
  settings: ClusterSettings,
  parent: Parent,
  file: string,
): Promise<{ readonly server: HostServer; readonly port: number }> {
  const saved = readJson(file);
  const earlier =
    typeof saved === 'object' && saved !== null && 'apiPort' in saved && typeof saved.apiPort === 'number'
      ? saved.apiPort
      : undefined;
  const candidates = settings.apiPort !== undefined ? [settings.apiPort] : [earlier ?? PREFERRED_API_PORT, 0];
  for (const [index, candidate] of candidates.entries()) {
    // After a restart of this process the kernel may hold the old socket for a moment.
    for (let tries = 0; tries < (candidate === earlier ? 10 : 1); tries++) {
      try {
        const server = await parent.listen('127.0.0.1', candidate);
        const { port } = server;
        writeJson(file, { apiPort: port });
        return { server, port };
      } catch (error) {
        const inUse = error instanceof HostListenError && error.code === 'EADDRINUSE';
        if (inUse && candidate === earlier && tries < 9) {
          await new Promise((resolve) => setTimeout(resolve, 100));
          continue;
        }
        if (index < candidates.length - 1 && inUse) break;
        throw new FatalStartError(
          inUse
            ? `port ${candidate} of 127.0.0.1 is in use by another program; choose another one with --api-port, or end that program`
            : `the API server cannot listen on 127.0.0.1:${candidate}: ${error instanceof Error ? error.message : String(error)}`,
        );
      }
    }
  }
  throw new FatalStartError('no port for the API server is free on 127.0.0.1');
}

function writeKubeconfig(api: ApiServer, server: string, name: string, file: string): void {
  fs.writeFileSync(file, `${JSON.stringify(api.adminKubeconfig(server, name), null, 2)}\n`, { mode: 0o600 });
}
