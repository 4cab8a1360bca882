import { policyTargetReference, targetRefs, workloadSelector } from '../networking/common.ts';
import { celRule, filled } from '../schema/cel.ts';
import {
  as,
  boolean,
  defaulted,
  duration,
  enumOf,
  list,
  map,
  object,
  required,
  string,
  type TypeOf,
  withCel,
} from '../schema/schema.ts';

const strings = (description: string) => list(string(), description);
const targetRef = as(policyTargetReference, 'Deprecated: use targetRefs.');

const source = withCel(
  object('Where a request comes from; all conditions must hold, one value of each.', {
    principals: strings('Peer identities, from the certificate: cluster.local/ns/NAMESPACE/sa/ACCOUNT.'),
    notPrincipals: strings('Peer identities that must not match.'),
    requestPrincipals: strings('Request identities, from the token: ISSUER/SUBJECT.'),
    notRequestPrincipals: strings('Request identities that must not match.'),
    namespaces: strings('Namespaces, from the certificate.'),
    notNamespaces: strings('Namespaces that must not match.'),
    serviceAccounts: list(string('', { maxLength: 320 }), 'Service accounts, as NAME or NAMESPACE/NAME.', {
      maxItems: 16,
    }),
    notServiceAccounts: list(string('', { maxLength: 320 }), 'Service accounts that must not match.', { maxItems: 16 }),
    trustDomains: strings('Trust domains, from the certificate.'),
    notTrustDomains: strings('Trust domains that must not match.'),
    ipBlocks: strings('Addresses or CIDRs of the peer.'),
    notIpBlocks: strings('Addresses that must not match.'),
    remoteIpBlocks: strings('Addresses or CIDRs of the original client, behind trusted proxies.'),
    notRemoteIpBlocks: strings('Original clients that must not match.'),
  }),
  celRule(
    `!(${filled('serviceAccounts')} || ${filled('notServiceAccounts')}) || !(${filled('principals')} || ${filled('notPrincipals')} || ${filled('namespaces')} || ${filled('notNamespaces')})`,
    'serviceAccounts cannot stand together with principals or namespaces',
  ),
);

const operation = object('What a request does; all conditions must hold, one value of each.', {
  hosts: strings('Hosts, without regard to case.'),
  notHosts: strings('Hosts that must not match.'),
  ports: strings('Ports of the workload.'),
  notPorts: strings('Ports that must not match.'),
  methods: strings('HTTP methods; for gRPC always POST.'),
  notMethods: strings('Methods that must not match.'),
  paths: strings('Paths: exact, PREFIX*, *SUFFIX, *, or a template with {*} and {**}.'),
  notPaths: strings('Paths that must not match.'),
});

const rule = object('Matches when `from`, `to` and `when` all do.', {
  from: list(object('A source.', { source }), 'Sources; one must match. Absent: any.', { maxItems: 512 }),
  to: list(object('An operation.', { operation }), 'Operations; one must match. Absent: any.'),
  when: list(
    object('A condition on an attribute.', {
      key: required(string('Name of the attribute, for example request.headers[user-agent].', { minLength: 1 })),
      values: strings('Values; one must match.'),
      notValues: strings('Values that must not match.'),
    }),
    'Further conditions; all must hold.',
  ),
});

export const authorizationPolicySpec = withCel(
  object('Who may do what with a workload.', {
    selector: workloadSelector,
    targetRef,
    targetRefs,
    rules: list(rule, 'Rules; one must match. Without rules an ALLOW policy allows nothing.', { maxItems: 512 }),
    action: defaulted(
      enumOf(['ALLOW', 'DENY', 'AUDIT', 'CUSTOM'], 'What happens to requests that match; default ALLOW.'),
      'ALLOW',
    ),
    provider: object('Who decides, for CUSTOM.', {
      name: string('Name of an extension provider in the mesh configuration.'),
    }),
  }),
  celRule(
    "!has(self.action) || self.action != 'CUSTOM' || (has(self.provider) && has(self.provider.name) && has(self.rules) && self.rules.size() > 0)",
    'action CUSTOM needs provider.name and rules',
  ),
  celRule(
    "!has(self.provider) || (has(self.action) && self.action == 'CUSTOM')",
    'provider works only with action CUSTOM',
  ),
);
export type AuthorizationPolicySpec = TypeOf<typeof authorizationPolicySpec>;
export type AuthorizationRule = TypeOf<typeof rule>;
export type AuthorizationSource = TypeOf<typeof source>;
export type AuthorizationOperation = TypeOf<typeof operation>;

const mutualTls = object('Mutual TLS of incoming connections.', {
  mode: enumOf(
    ['UNSET', 'DISABLE', 'PERMISSIVE', 'STRICT'],
    'UNSET inherits, DISABLE takes plain text only, PERMISSIVE takes both, STRICT takes mutual TLS only.',
  ),
});

export const peerAuthenticationSpec = object('Which connections a workload takes.', {
  selector: workloadSelector,
  mtls: mutualTls,
  portLevelMtls: map(mutualTls, 'Settings by port number of the workload; need a selector.', { maxProperties: 1024 }),
});
export type PeerAuthenticationSpec = TypeOf<typeof peerAuthenticationSpec>;
export type MutualTLSMode = NonNullable<NonNullable<PeerAuthenticationSpec['mtls']>['mode']>;

const jwtRule = withCel(
  object('Which tokens are accepted.', {
    issuer: required(string('Value of the claim iss.', { minLength: 1 })),
    audiences: list(string('', { minLength: 1 }), 'Accepted values of the claim aud; absent: all.'),
    jwksUri: string('URL of the issuer’s keys.', { maxLength: 2048 }),
    jwks: string('The issuer’s keys, as JSON.'),
    fromHeaders: list(
      object('A header that carries the token.', {
        name: required(string('Name of the header.', { minLength: 1 })),
        prefix: string('Text before the token, with its space.'),
      }),
      'Headers; default `Authorization: Bearer `.',
    ),
    fromParams: list(string('', { minLength: 1 }), 'Query parameters that carry the token; default access_token.'),
    fromCookies: list(string('', { minLength: 1 }), 'Cookies that carry the token.'),
    outputPayloadToHeader: string('Header in which the verified payload goes upstream, base64url.'),
    outputClaimToHeaders: list(
      object('A claim that goes upstream in a header.', {
        header: required(string('Name of the header.', { minLength: 1, pattern: '^[-_A-Za-z0-9]+$' })),
        claim: required(string('Name of the claim; nested ones with dots.', { minLength: 1 })),
      }),
      'Claims that go upstream in headers.',
    ),
    forwardOriginalToken: boolean('Leave the token in the request.'),
    timeout: duration('Time to fetch the keys; default 5s.'),
    spaceDelimitedClaims: list(string('', { minLength: 1 }), 'Claims that hold several values, separated by spaces.', {
      maxItems: 64,
    }),
  }),
  celRule(`!(${filled('jwks')} && ${filled('jwksUri')})`, 'only one of jwks, jwksUri may be set'),
  celRule(
    "!has(self.jwksUri) || self.jwksUri == '' || self.jwksUri.startsWith('http://') || self.jwksUri.startsWith('https://')",
    'jwksUri must be an http:// or https:// URL',
  ),
);

export const requestAuthenticationSpec = object('Which tokens a workload accepts in requests.', {
  selector: workloadSelector,
  targetRef,
  targetRefs,
  jwtRules: list(jwtRule, 'Rules; a token must satisfy one of them.', { maxItems: 4096 }),
});
export type RequestAuthenticationSpec = TypeOf<typeof requestAuthenticationSpec>;
export type JWTRule = TypeOf<typeof jwtRule>;
