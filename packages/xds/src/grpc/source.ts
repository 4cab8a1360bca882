import type { ProxyScope } from '@istio-ts/mesh/model';
import { LayeredTable, type Table } from '../engine/table.ts';
import { typeUrls } from '../engine/type-urls.ts';
import { memoByInputs } from '../memo.ts';
import type { ProxyNode, ProxyView, XdsResource } from '../source.ts';
import { grpcCluster } from './cluster.ts';
import { grpcEndpoints } from './endpoint.ts';
import { clientListeners, serverListeners } from './listener.ts';
import { grpcRoutes } from './route.ts';

/** A view that can say what its proxy sees. */
export interface ScopedView extends ProxyView {
  scope(): ProxyScope;
}

export interface ScopedSource {
  connect(node: ProxyNode): ScopedView;
}

const convertAll = (convert: (resource: XdsResource) => XdsResource | undefined) =>
  memoByInputs(
    (table: Table) => [table],
    (table): Table => {
      const result = new Map<string, XdsResource>();
      for (const resource of table.values()) {
        const converted = convert(resource);
        if (converted) result.set(converted.name, converted);
      }
      return result;
    },
  );

const clusters = convertAll(grpcCluster);
const endpoints = convertAll(grpcEndpoints);

const routes = memoByInputs(
  (scope: ProxyScope) => [
    scope.services,
    scope.serviceByHost,
    scope.virtualServices,
    scope.destinationRules,
    scope.mesh,
    scope.sidecar,
    scope.proxy,
  ],
  grpcRoutes,
);

const none: Table = new Map();

/** Whether a client is a gRPC library that configures itself (node metadata `GENERATOR`), and no Envoy. */
export const isGrpcClient = (node: ProxyNode): boolean => node.metadata.GENERATOR === 'grpc';

/**
 * Gives gRPC libraries the same mesh in the words that they know (gRPC proposals A27, A28, A29, A36): a listener for each name of a service, its routes,
 * clusters and endpoints without what only Envoy understands, and listeners for servers. Other clients see what `source` has.
 */
export function withGrpcClients<S extends ScopedSource>(source: S): ScopedSource {
  return { connect: (node) => (isGrpcClient(node) ? connect(source, node) : source.connect(node)) };
}

function connect(source: ScopedSource, node: ProxyNode): ScopedView {
  const view = source.connect({ ...node, incrementalRoutes: false });
  let listeners: LayeredTable | undefined;
  const listenersNow = (): Table => {
    const scope = view.scope();
    const { dnsDomain, namespace } = scope.proxy;
    const layers = [
      clientListeners({ services: scope.services, namespace, dnsDomain }),
      serverListeners({ scope, address: node.ipAddress }),
    ];
    if (listeners === undefined || layers.some((layer, i) => layer !== listeners?.layers[i]))
      listeners = new LayeredTable(layers);
    return listeners;
  };
  // What they are made of changes with these types of Envoy's; asking for them makes the view tell of it.
  const watch = (...types: readonly (keyof typeof typeUrls)[]): void => {
    for (const type of types) view.resources(typeUrls[type]);
  };
  return {
    ...view,
    resources: (url) => {
      switch (url) {
        case typeUrls.listener:
          watch('listener', 'route', 'cluster');
          return listenersNow();
        case typeUrls.route:
          watch('route', 'cluster');
          return routes(view.scope());
        case typeUrls.cluster:
          return clusters(view.resources(url));
        case typeUrls.endpoint:
          return endpoints(view.resources(url));
        default:
          return none;
      }
    },
    virtualHosts: () => undefined,
    onChange: (listener) =>
      view.onChange((changed) => {
        const own = new Set(changed);
        if (changed.has(typeUrls.route) || changed.has(typeUrls.cluster)) {
          own.add(typeUrls.listener);
          own.add(typeUrls.route);
        }
        listener(own);
      }),
    scope: () => view.scope(),
    close: () => view.close(),
  };
}
