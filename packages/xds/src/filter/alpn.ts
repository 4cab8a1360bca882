import type { HttpFilter } from '@istio-ts/envoy';
import { typed } from '../typed.ts';

/**
 * Cluster metadata by which a cluster says that it speaks the client's protocol over mutual TLS, so that what it offers in the handshake has to be
 * chosen for each request (`filterMetadata['istio.svc'].alpn === 'downstream'`).
 */
export const ALPN_METADATA = { namespace: 'istio.svc', key: 'alpn', value: 'downstream' } as const;

const CHOSEN_BY_CLUSTER = `xds.cluster_metadata.filter_metadata['${ALPN_METADATA.namespace}']['${ALPN_METADATA.key}'] == '${ALPN_METADATA.value}'`;

const FILTER: HttpFilter = {
  name: 'istio.alpn',
  typedConfig: typed('envoy.extensions.filters.http.set_filter_state.v3.Config', {
    onRequestHeaders: [
      {
        objectKey: 'envoy.network.application_protocols',
        factoryKey: 'envoy.network.application_protocols',
        formatString: {
          textFormatSource: {
            inlineString: `%CEL(${CHOSEN_BY_CLUSTER} ? (request.protocol == 'HTTP/2' ? 'istio-h2,istio,h2' : 'istio-http/1.1,istio,http/1.1') : '')%`,
          },
        },
        skipIfEmpty: true,
      },
    ],
  }),
};

/** For ports whose protocol is sniffed: tells the cluster's TLS which of Istio's protocol names to offer. */
export const alpnFilter = (): HttpFilter => FILTER;
