import type { ConfigListenerFilter, FilterStateValue } from '@istio-ts/envoy';
import type { ScopedProxy } from '@istio-ts/mesh/model';
import { typed } from '../typed.ts';

/** What a server's proxy reads of a client's certificate, once per connection. The keys name filter state objects. */
const FACTS: readonly { readonly key: PeerFact; readonly attribute: 'subject' | 'uri'; readonly pattern: string }[] = [
  { key: 'workload', attribute: 'subject', pattern: '(?:.*,)?CN=([^,]*).*' },
  { key: 'canonical_service', attribute: 'subject', pattern: '(?:.*,)?OU=([^,]*).*' },
  { key: 'version', attribute: 'subject', pattern: '(?:.*,)?L=([^,]*).*' },
  { key: 'cluster', attribute: 'subject', pattern: '(?:.*,)?ST=([^,]*).*' },
  { key: 'namespace', attribute: 'uri', pattern: 'spiffe://[^/]*/ns/([^/]*)/.*' },
];

export type PeerFact = 'workload' | 'canonical_service' | 'app' | 'version' | 'version_label' | 'cluster' | 'namespace';

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

/** A label that has an attribute of its own where it is not the canonical name or revision; `-` stands for none. */
const labelOf = (attribute: string, canonical: string): string =>
  `${ATTRIBUTE.subject}.contains('${attribute}=') ? re.capture(${ATTRIBUTE.subject}, '(?:.*,)?${attribute}=(?:-|([^,]*))(?:,.*)?') : re.capture(${ATTRIBUTE.subject}, '${canonical}')`;

const FILTER: ConfigListenerFilter = {
  name: 'istio.peer_metadata',
  typedConfig: typed('envoy.extensions.filters.network.set_filter_state.v3.Config', {
    onDownstreamTlsHandshake: [
      ...FACTS.map(({ key, attribute, pattern }) => fact(key, `re.capture(${ATTRIBUTE[attribute]}, '${pattern}')`)),
      fact('app', labelOf('title', '(?:.*,)?OU=([^,]*).*')),
      fact('version_label', labelOf('description', '(?:.*,)?L=(?:latest|([^,]*))(?:,.*)?')),
    ],
  }),
};

/**
 * First network filter of the chains that terminate mutual TLS: it keeps what the client's certificate says about its workload (subject: CN workload,
 * OU canonical service, L canonical revision, ST cluster, title and description the labels `app` and `version` where these are others; namespace from the SPIFFE identity) for the metrics. Nothing travels on the wire and a client cannot lie.
 */
export const peerMetadataFilter = ({ lacks }: ScopedProxy): readonly ConfigListenerFilter[] =>
  lacks?.includes('metrics') === true ? [] : [FILTER];
