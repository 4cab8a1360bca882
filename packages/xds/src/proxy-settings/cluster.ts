import type { Cluster, HttpHttpProtocolOptions } from '@istio-ts/envoy';
import type { ProxyScope } from '@istio-ts/mesh/model';
import { encodeResource } from '../engine/resource.ts';
import type { Table } from '../engine/table.ts';
import { clusterType } from '../engine/type-urls.ts';
import { memoByInputs } from '../memo.ts';
import type { XdsResource } from '../source.ts';
import { typed } from '../typed.ts';
import { preservedHeaderCase } from './http-connection.ts';
import { proxySettings } from './settings.ts';

interface Changes {
  readonly preservesCase: boolean;
  readonly bufferBytes: number | undefined;
}

const EXTENSION = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions';

/** Options of a cluster's HTTP with names of headers written to its endpoints as they came. */
function preservingCase(options: HttpHttpProtocolOptions | undefined): HttpHttpProtocolOptions {
  const { explicitHttpConfig, useDownstreamProtocolConfig } = options ?? {};
  if (explicitHttpConfig?.http2ProtocolOptions !== undefined) return { ...options };
  const http = (before: NonNullable<typeof explicitHttpConfig>['httpProtocolOptions']) => ({
    ...before,
    headerKeyFormat: preservedHeaderCase,
  });
  return useDownstreamProtocolConfig === undefined
    ? { ...options, explicitHttpConfig: { httpProtocolOptions: http(explicitHttpConfig?.httpProtocolOptions) } }
    : {
        ...options,
        useDownstreamProtocolConfig: {
          ...useDownstreamProtocolConfig,
          httpProtocolOptions: http(useDownstreamProtocolConfig.httpProtocolOptions),
        },
      };
}

const changed = memoByInputs(
  ({ resource, preservesCase, bufferBytes }: Changes & { readonly resource: XdsResource }) => [
    resource,
    preservesCase,
    bufferBytes,
  ],
  ({ resource, preservesCase, bufferBytes }): XdsResource => {
    const cluster = resource.json() as Cluster;
    const before = cluster.typedExtensionProtocolOptions;
    const options = before?.[EXTENSION] as HttpHttpProtocolOptions | undefined;
    return encodeResource(clusterType, resource.name, {
      resource: {
        ...cluster,
        ...(preservesCase && {
          typedExtensionProtocolOptions: { ...before, [EXTENSION]: typed(EXTENSION, preservingCase(options)) },
        }),
        ...(bufferBytes !== undefined && { perConnectionBufferLimitBytes: bufferBytes }),
      },
      origins: resource.origins,
    });
  },
);

const changedTable = memoByInputs(
  ({ table, preservesCase, bufferBytes }: Changes & { readonly table: Table }) => [table, preservesCase, bufferBytes],
  ({ table, ...changes }): Table =>
    new Map([...table].map(([name, resource]) => [name, changed({ resource, ...changes })])),
);

/** Clusters as the settings of the proxy have them; the identical tables where these say nothing of clusters. */
export function adjustClusters(tables: readonly Table[], scope: Pick<ProxyScope, 'proxy' | 'mesh'>): readonly Table[] {
  const { proxyHeaders, connectionSettings } = proxySettings(scope);
  const preservesCase = proxyHeaders?.preserveHttp1HeaderCase === true;
  const bufferBytes = connectionSettings?.clusterPerConnectionBufferLimitBytes;
  if (!preservesCase && bufferBytes === undefined) return tables;
  return tables.map((table) => changedTable({ table, preservesCase, bufferBytes }));
}
