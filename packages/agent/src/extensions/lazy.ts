import { join } from 'node:path';
import type { HelperRequest, HelperResponse } from '../certificates/obtain.ts';
import type { AgentSettings } from '../environment.ts';
import type { GrpcCall, GrpcHandler } from '../http2/grpc-server.ts';
import type { Logger } from '../log.ts';
import { nodeId, nodeMetadata, serviceCluster } from '../node-metadata.ts';
import type { ExtensionDiscovery } from './discovery.ts';

/** What Envoy calls for the configuration of an extension. */
const EXTENSION_STREAM = '/envoy.service.extension.v3.ExtensionConfigDiscoveryService/StreamExtensionConfigs';

export interface LazyExtensionsOptions {
  readonly settings: AgentSettings;
  readonly version: string;
  readonly help: (request: HelperRequest) => Promise<HelperResponse>;
  /** Opens a socket that leads to the control plane, and gives its path. */
  readonly openControlPlane: () => Promise<string>;
  readonly log: Logger;
  /** Takes what counts modules into the agent's metrics, in Prometheus' text format. */
  readonly include: (render: () => string) => void;
}

/** The agent's part in filters whose modules have to be fetched; it costs nothing before Envoy asks for one. */
export class LazyExtensions {
  readonly #options: LazyExtensionsOptions;
  #discovery: Promise<ExtensionDiscovery> | undefined;
  #closed = false;

  constructor(options: LazyExtensionsOptions) {
    this.#options = options;
  }

  /** The handler of a call; undefined for calls that are about something else. */
  serve(path: string, call: GrpcCall): GrpcHandler | undefined {
    if (path !== EXTENSION_STREAM) return undefined;
    this.#discovery ??= this.#load();
    // Messages may come before the code is there.
    let handler: GrpcHandler | undefined;
    let over = false;
    const early: ((to: GrpcHandler) => void)[] = [];
    const when = (act: (to: GrpcHandler) => void): void => {
      if (handler === undefined) early.push(act);
      else act(handler);
    };
    this.#discovery.then(
      (discovery) => {
        if (over) return;
        handler = discovery.serve(call);
        for (const act of early) act(handler);
      },
      (error: unknown) => this.#options.log.error('extensions cannot be served', { error: String(error) }),
    );
    return {
      message: (bytes) => {
        const own = Buffer.from(bytes);
        when((to) => to.message(own));
      },
      end: () => when((to) => to.end()),
      close: () => {
        over = true;
        handler?.close();
      },
    };
  }

  close(): void {
    this.#closed = true;
    void this.#discovery?.then((discovery) => discovery.close());
  }

  async #load(): Promise<ExtensionDiscovery> {
    const { settings, version, help, log } = this.#options;
    // Not through Envoy: its listeners wait for their filters before any of them answers.
    const [socketFile, { ExtensionDiscovery: Discovery }, { ModuleStore }, { ModuleCounters }] = await Promise.all([
      this.#options.openControlPlane(),
      import('./discovery.ts'),
      import('./module-store.ts'),
      import('./module-counters.ts'),
    ]);
    const counters = new ModuleCounters();
    this.#options.include(() => counters.render());
    const modules = new ModuleStore(async ({ url, sha256, pullSecret }) => {
      const answer = await help({
        kind: 'module',
        url,
        sha256,
        pullSecret,
        insecureRegistries: settings.insecureRegistries,
        directory: join(settings.proxyConfig.configPath, 'wasm'),
      });
      if (answer.kind === 'fetched') return answer.file;
      throw new Error(answer.kind === 'failed' ? answer.message : 'the helper gave another answer');
    }, counters);
    const discovery = new Discovery({
      socketFile,
      node: { id: nodeId(settings), cluster: serviceCluster(settings), metadata: nodeMetadata(settings, version) },
      modules,
      counters,
      now: () => performance.now(),
      log,
    });
    if (this.#closed) discovery.close();
    return discovery;
  }
}
