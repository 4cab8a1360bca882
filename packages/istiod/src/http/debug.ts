import { parseSpiffe } from '@istio-ts/security';
import { configDump } from '../ads/config-dump.ts';
import type { ConnectedProxy, Connections } from '../ads/connections.ts';
import { callerNamespaces, type DebugCaller, mayDebug } from '../ads/debug-stream.ts';
import { shortName, TypeUrl } from '../ads/resource-kinds.ts';
import { syncStatus } from '../ads/sync-status.ts';

/** The result of a debug command: JSON or text. */
export type DebugAnswer =
  | { readonly kind: 'json'; readonly value: unknown }
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'error'; readonly status: 400 | 403 | 404; readonly message: string };

/** A debug command of another part of istiod, for example `registryz`. */
export type DebugCommand = (query: URLSearchParams) => unknown;

export interface DebugOptions {
  readonly connections: Connections;
  readonly systemNamespace: string;
  readonly debugNamespaces?: readonly string[];
  /** More commands by name, whose results are shown as JSON. */
  readonly commands?: Readonly<Record<string, { readonly help: string; readonly run: DebugCommand }>>;
}

/** A debug command with its query, as HTTP (`/debug/…`) and the xDS debug types ask for it. */
export type RunDebug = (name: string, query: URLSearchParams, caller: DebugCaller) => DebugAnswer;

/** The debug commands of istiod. Callers that may not ask get 403; proxies of other namespaces are not shown to them. */
export function createDebug(options: DebugOptions): RunDebug {
  const { connections } = options;
  const own: Readonly<
    Record<string, { help: string; run: (query: URLSearchParams, caller: DebugCaller) => DebugAnswer }>
  > = {
    syncz: {
      help: 'Synchronization status of all proxies connected to this istiod',
      run: (query) => {
        const namespace = query.get('namespace');
        return json(
          connections
            .all()
            .filter(({ node }) => namespace === null || node.namespace === namespace)
            .map(syncStatus),
        );
      },
    },
    adsz: {
      help: 'Clients connected to the ADS server and what they watch',
      run: () => json({ totalClients: connections.size, connectedClients: connections.all().map(describeClient) }),
    },
    connections: {
      help: 'Connected clients',
      run: () =>
        json({
          totalClients: connections.size,
          clients: connections.all().map(({ connectionId, connectedAt, remoteAddress }) => ({
            connectionId,
            connectedAt: new Date(connectedAt).toISOString(),
            address: remoteAddress,
          })),
        }),
    },
    config_dump: {
      help: 'What a proxy (proxyID=pod.namespace) is meant to have, as Envoy dumps its configuration',
      run: (query) => withProxy(query, (proxy) => json(configDump(proxy))),
    },
    edsz: {
      help: 'Endpoints of a proxy (proxyID=pod.namespace)',
      run: (query) =>
        withProxy(query, (proxy) =>
          json([...proxy.view.resources(TypeUrl.endpoint).values()].map((resource) => resource.json())),
        ),
    },
    ndsz: {
      help: 'Name table of a proxy (proxyID=pod.namespace)',
      run: (query) =>
        withProxy(query, (proxy) => {
          const [table] = proxy.view.resources('type.googleapis.com/istio.networking.nds.v1.NameTable').values();
          return json(table?.json() ?? {});
        }),
    },
    ecdsz: {
      help: 'Status of extension configurations of all proxies',
      run: () =>
        json(
          connections.all().map((proxy) => ({
            proxy: `${proxy.node.podName}.${proxy.node.namespace}`,
            ...proxy.statuses().find((status) => status.typeUrl === TypeUrl.extension),
          })),
        ),
    },
    force_disconnect: {
      help: 'Ends the stream of a proxy (proxyID=pod.namespace), which then connects again',
      run: (query) =>
        withProxy(query, (proxy) => {
          proxy.disconnect();
          return { kind: 'text', text: 'OK' };
        }),
    },
    list: {
      help: 'This list',
      run: () => json(Object.keys(help).sort()),
    },
  };
  const help: Record<string, string> = {};
  for (const [name, command] of Object.entries({ ...own, ...options.commands })) help[name] = command.help;

  function withProxy(query: URLSearchParams, show: (proxy: ConnectedProxy) => DebugAnswer): DebugAnswer {
    const id = query.get('proxyID');
    if (id === null || id === '')
      return { kind: 'error', status: 400, message: 'You must provide a proxyID in the query string' };
    const proxy = connections.find(id);
    if (proxy !== undefined) return show(proxy);
    return {
      kind: 'error',
      status: 404,
      message: `Proxy ${id} is not connected to this istiod; it may be connected to another instance`,
    };
  }

  return (name, query, caller) => {
    const extra = options.commands;
    const isExtra = extra !== undefined && Object.hasOwn(extra, name);
    if (name !== '' && !Object.hasOwn(own, name) && !isExtra)
      return { kind: 'error', status: 404, message: `there is no debug command ${name}` };
    if (!mayDebug(name, query.get('proxyID') ?? undefined, caller, options)) {
      const who = [...callerNamespaces(caller)].join(', ');
      return {
        kind: 'error',
        status: 403,
        message: `${name}: not allowed for ${who === '' ? 'callers without identity' : `identities of ${who}`}`,
      };
    }
    if (name === '')
      return {
        kind: 'text',
        text: Object.entries(help)
          .map(([key, text]) => `/debug/${key}\t${text}\n`)
          .join(''),
      };
    const command = own[name];
    return command !== undefined ? command.run(query, caller) : json(extra?.[name]?.run(query));
  };
}

/** The same commands for the ADS server's debug types: `config_dump?proxyID=…` in, the text of the answer out. */
export function debugText(run: RunDebug): (command: string, caller: DebugCaller) => string | undefined {
  return (command, caller) => {
    const url = URL.parse(`/${command.replace(/^\/+/, '')}`, 'http://localhost');
    if (url === null) return undefined;
    const answer = run(url.pathname.slice(1), url.searchParams, caller);
    switch (answer.kind) {
      case 'json':
        return JSON.stringify(answer.value, null, 2);
      case 'text':
        return answer.text;
      case 'error':
        return answer.status === 404 && url.searchParams.size === 0 ? undefined : answer.message;
    }
  };
}

function json(value: unknown): DebugAnswer {
  return { kind: 'json', value };
}

function describeClient(proxy: ConnectedProxy): unknown {
  const { node } = proxy;
  return {
    connectionId: proxy.connectionId,
    connectedAt: new Date(proxy.connectedAt).toISOString(),
    address: proxy.remoteAddress,
    protocol: proxy.protocol,
    identity: node.identity === undefined ? undefined : parseSpiffe(node.identity),
    labels: node.metadata.LABELS,
    metadata: {
      NAMESPACE: node.namespace,
      CLUSTER_ID: node.metadata.CLUSTER_ID,
      ISTIO_VERSION: node.metadata.ISTIO_VERSION,
    },
    locality: node.locality,
    proxyType: node.type,
    watches: Object.fromEntries(
      proxy.statuses().map((status) => [shortName(status.typeUrl), status.wildcard ? ['*'] : status.names]),
    ),
    status: Object.fromEntries(proxy.statuses().map((status) => [shortName(status.typeUrl), status.state])),
    rejections: proxy
      .statuses()
      .flatMap(({ typeUrl, rejection }) =>
        rejection === undefined
          ? []
          : [{ type: shortName(typeUrl), message: rejection.message, resources: rejection.resources }],
      ),
  };
}
