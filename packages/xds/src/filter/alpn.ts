import type { HttpFilter } from '@istio-ts/envoy';
import type { ScopedProxy } from '@istio-ts/mesh/model';
import { typed } from '../typed.ts';

/**
 * Cluster metadata (`filterMetadata['istio.svc'].alpn`) by which a cluster of a sniffed port says which HTTP it speaks over mutual TLS, so that what
 * it offers in the handshake has to be chosen for requests: the client's (a sidecar), always HTTP/1.1 (a gateway), or always HTTP/2 (`h2UpgradePolicy`).
 */
export const ALPN_METADATA = { namespace: 'istio.svc', key: 'alpn' } as const;
export type AlpnChoice = 'downstream' | 'http1' | 'http2';

const choice = (value: AlpnChoice): string =>
  `xds.cluster_metadata.filter_metadata['${ALPN_METADATA.namespace}']['${ALPN_METADATA.key}'] == '${value}'`;

const FILTER: HttpFilter = {
  name: 'istio.alpn',
  typedConfig: typed('envoy.extensions.filters.http.set_filter_state.v3.Config', {
    onRequestHeaders: [
      {
        objectKey: 'envoy.network.application_protocols',
        factoryKey: 'envoy.network.application_protocols',
        formatString: {
          textFormatSource: {
            inlineString: `%CEL(${choice('http2')} || (${choice('downstream')} && request.protocol == 'HTTP/2') ? 'istio-h2,istio,h2' : (${choice('downstream')} || ${choice('http1')} ? 'istio-http/1.1,istio,http/1.1' : ''))%`,
          },
          // A cluster without that metadata makes the expression fail, which would otherwise be written as `-` and offered.
          omitEmptyValues: true,
        },
        skipIfEmpty: true,
      },
    ],
  }),
};

/** For ports whose protocol is sniffed: tells the cluster's TLS which of Istio's protocol names to offer; none where PILOT_ENABLE_ALPN_FILTER is off. */
export const alpnFilters = ({ switches }: Pick<ScopedProxy, 'switches'>): readonly HttpFilter[] =>
  switches?.alpnFilter === false ? [] : [FILTER];
