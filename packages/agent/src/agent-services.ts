import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { AGENT_DISCOVERY_SOCKET, usesAgentDiscovery } from './bootstrap/listeners.ts';
import { checksByProxy } from './bootstrap/render.ts';
import type { AgentSettings } from './environment.ts';
import { readOptional } from './inputs.ts';
import type { Logger } from './log.ts';
import { nodeId, nodeMetadata, serviceCluster } from './node-metadata.ts';
import type { AgentMetrics } from './status/agent-metrics.ts';
import type { ProbeTarget } from './status/probes.ts';

export interface AgentServices {
  close(): Promise<void>;
}

/**
 * What an agent does beside looking after Envoy, if it is asked to: answer DNS, and tell the control plane how the application is. Their code is
 * loaded only then. Rejects when the port of DNS is taken.
 */
export async function startAgentServices(options: {
  readonly settings: AgentSettings;
  readonly version: string;
  readonly metrics: AgentMetrics;
  readonly log: Logger;
  readonly probeTarget: ProbeTarget;
}): Promise<AgentServices> {
  const { settings, version, log } = options;
  if (!usesAgentDiscovery(settings)) return { close: async () => undefined };
  mkdirSync(dirname(AGENT_DISCOVERY_SOCKET), { recursive: true });
  const dns = settings.dnsProxy.enabled ? await startDns(settings, options.metrics, log.scope('dns')) : undefined;
  const { startDiscoveryClient } = await import('./discovery/client.ts');
  const client = startDiscoveryClient({
    socketFile: AGENT_DISCOVERY_SOCKET,
    node: { id: nodeId(settings), cluster: serviceCluster(settings), metadata: nodeMetadata(settings, version) },
    ...(dns && {
      onNames: (table) => {
        dns.server.update(table);
        log.scope('dns').debug('names of the mesh', { names: dns.server.size });
      },
    }),
    log: log.scope('xdsproxy'),
  });
  const { readHealthProbe, watchHealth } = await import('./discovery/health.ts');
  const probe = readHealthProbe(settings.proxyConfig.raw.readinessProbe);
  // What Envoy can check itself it is told by istiod, where health discovery is switched on.
  const byProxy = checksByProxy(settings) && (probe?.check.kind === 'http' || probe?.check.kind === 'tcp');
  const health =
    probe === undefined || byProxy
      ? undefined
      : watchHealth(probe, options.probeTarget, (state) => {
          log.info(state.healthy ? 'the application is healthy' : 'the application is not healthy', {
            reason: state.message || undefined,
          });
          client.report(state);
        });
  return {
    close: async () => {
      health?.close();
      client.close();
      await dns?.server.close();
    },
  };
}

async function startDns(settings: AgentSettings, metrics: AgentMetrics, log: Logger) {
  const [{ startDnsServer }, { createUpstream }, { DnsCounters }, { readResolvConf }, { randomInt }] =
    await Promise.all([
      import('./dns/server.ts'),
      import('./dns/upstream.ts'),
      import('./dns/metrics.ts'),
      import('./dns/resolv-conf.ts'),
      import('node:crypto'),
    ]);
  const { addresses, port, forwardParallel, forwardTimeoutMs } = settings.dnsProxy;
  const { servers, search } = readResolvConf(readOptional('/etc/resolv.conf') ?? '');
  const counters = new DnsCounters(Date.now);
  const server = await startDnsServer({
    addresses,
    port,
    names: { namespace: settings.namespace, search },
    upstream: createUpstream(
      // A resolv.conf that leads to this proxy would make queries go round for ever.
      servers
        .filter((address) => !(port === 53 && addresses.includes(address)))
        .map((address) => ({ address, port: 53 })),
      forwardParallel,
      { timeoutMs: forwardTimeoutMs, randomId: () => randomInt(65_536) },
    ),
    metrics: counters,
    log,
    shuffle: (list) => {
      const from = Math.floor(Math.random() * list.length);
      return [...list.slice(from), ...list.slice(0, from)];
    },
  });
  log.info('DNS proxy is listening', { addresses: addresses.join(','), port, upstream: servers.join(',') });
  metrics.include(() => counters.render());
  return { server };
}
