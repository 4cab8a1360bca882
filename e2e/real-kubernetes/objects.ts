import { istioTypes } from '@istio-ts/api/resource-types';

/** Objects that are refused on Kubernetes' own API server, and what the answer says. */

export type Spec = Readonly<Record<string, unknown>>;
/** An object of one of Istio's kinds, as JSON. */
export const object = (kind: string, name: string, spec: Spec, namespace = 'shop'): string => {
  const { group, version } = istioTypes[kind as keyof typeof istioTypes];
  return JSON.stringify({ apiVersion: `${group}/${version}`, kind, metadata: { name, namespace }, spec });
};

/** Specs that the definitions' schemas let pass and istiod's webhook refuses: kind, spec, what it says. */
export const AGAINST_RULES: readonly (readonly [string, Spec, RegExp])[] = [
  [
    'VirtualService',
    { hosts: ['a b'], http: [{ route: [{ destination: { host: 'a' } }] }] },
    /spec\.hosts\[0\]: "a b" is not a host name/,
  ],
  [
    'DestinationRule',
    { host: 'a', subsets: [{ name: 'v1' }, { name: 'v1' }] },
    /spec\.subsets\[1\]\.name: "v1" is there twice/,
  ],
  [
    'Gateway',
    {
      servers: [{ port: { number: 443, name: 'https', protocol: 'HTTPS' }, hosts: ['*'], tls: { mode: 'SIMPLE' } }],
    },
    /spec\.servers\[0\]\.tls: SIMPLE needs a certificate: set credentialName/,
  ],
  [
    'Sidecar',
    { egress: [{ hosts: ['reviews'] }] },
    /spec\.egress\[0\]\.hosts\[0\]: "reviews" must have the form namespace\/host/,
  ],
  ['AuthorizationPolicy', { action: 'DENY' }, /spec\.rules: is required for action DENY/],
  [
    'EnvoyFilter',
    { configPatches: [{ applyTo: 'CLUSTER', patch: { operation: 'MERGE' } }] },
    /patch\.value: is required for MERGE/,
  ],
];

/** A field of the wrong type, which the schema of the definition refuses; the answer names it. */
export const AGAINST_SCHEMA: Readonly<Record<string, readonly [Spec, RegExp]>> = {
  VirtualService: [{ hosts: 'a' }, /spec\.hosts/],
  DestinationRule: [{ host: 7 }, /spec\.host/],
  Gateway: [{ servers: 'a' }, /spec\.servers/],
  ServiceEntry: [{ hosts: ['a.com'], resolution: 'SOMEHOW' }, /spec\.resolution/],
  Sidecar: [{ egress: { hosts: ['*'] } }, /spec\.egress/],
  WorkloadEntry: [{ address: '10.0.0.1', weight: 'much' }, /spec\.weight/],
  WorkloadGroup: [{ template: 'a' }, /spec\.template/],
  EnvoyFilter: [{ configPatches: [{ applyTo: 'NOWHERE' }] }, /spec\.configPatches\[0\]\.applyTo/],
  ProxyConfig: [{ concurrency: -1 }, /spec\.concurrency/],
  AuthorizationPolicy: [{ action: 'allow' }, /spec\.action/],
  PeerAuthentication: [{ mtls: { mode: 'MAYBE' } }, /spec\.mtls\.mode/],
  RequestAuthentication: [{ jwtRules: [{ issuer: '' }] }, /spec\.jwtRules\[0\]\.issuer/],
  Telemetry: [{ accessLogging: 'all' }, /spec\.accessLogging/],
  WasmPlugin: [{ url: 'oci://a/b', phase: 'NEVER' }, /spec\.phase/],
  TrafficExtension: [{ lua: 'x = 1' }, /spec\.lua/],
};
