import type { ConfigListenerFilter, FilterStateValue } from '@istio-ts/envoy';
import type { ScopedProxy } from '@istio-ts/mesh/model';
import { typed } from '../typed.ts';

/** What a server's proxy reads of a client's certificate, once per connection. The keys name filter state objects. */
const FACTS: readonly { readonly key: PeerFact; readonly attribute: 'subject' | 'uri'; readonly pattern: string }[] = [
  { key: 'workload', attribute: 'subject', pattern: '(?:.*,)?CN=([^,]*).*' },
  { key: 'app', attribute: 'subject', pattern: '(?:.*,)?OU=([^,]*).*' },
  { key: 'version', attribute: 'subject', pattern: '(?:.*,)?L=([^,]*).*' },
  { key: 'cluster', attribute: 'subject', pattern: '(?:.*,)?ST=([^,]*).*' },
  { key: 'namespace', attribute: 'uri', pattern: 'spiffe://[^/]*/ns/([^/]*)/.*' },
];

export type PeerFact = 'workload' | 'app' | 'version' | 'version_label' | 'cluster' | 'namespace';

/** Format command of a fact about the client. */
export const peerFact = (fact: PeerFact): string => `%FILTER_STATE(peer.${fact}:PLAIN)%`;

const ATTRIBUTE = {
  subject: 'connection.subject_peer_certificate',
  uri: 'connection.uri_san_peer_certificate',
} as const;

const fact = (key: PeerFact, cel: string): FilterStateValue => ({
  objectKey: `peer.${key}`,
  factoryKey: 'envoy.string',
  formatString: { textFormatSource: { inlineString: `%CEL(${cel})%` } },
  skipIfEmpty: true,
});

const FILTER: ConfigListenerFilter = {
  name: 'istio.peer_metadata',
  typedConfig: typed('envoy.extensions.filters.network.set_filter_state.v3.Config', {
    onDownstreamTlsHandshake: [
      ...FACTS.map(({ key, attribute, pattern }) => fact(key, `re.capture(${ATTRIBUTE[attribute]}, '${pattern}')`)),
      // The certificate has the canonical revision, which is `latest` for workloads without a version.
      fact('version_label', `re.capture(${ATTRIBUTE.subject}, '(?:.*,)?L=(?:latest|([^,]*))(?:,.*)?')`),
    ],
  }),
};

/**
 * First network filter of the chains that terminate mutual TLS: it keeps what the client's certificate says about its workload (subject: CN workload,
 * OU application, L version, ST cluster; namespace from the SPIFFE identity) for the metrics. Nothing travels on the wire and a client cannot lie.
 */
export const peerMetadataFilter = ({ lacks }: ScopedProxy): readonly ConfigListenerFilter[] =>
  lacks?.includes('metrics') === true ? [] : [FILTER];
