type Spec = Record<string, unknown>;

// Specs for tests, here and of the custom resource definitions.

export const http = (route: Spec): Spec => ({
  hosts: ['shop'],
  http: [{ route: [{ destination: { host: 'a' } }], ...route }],
});
export const server = (fields: Spec, port: Spec = {}): Spec => ({
  selector: { istio: 'ingressgateway' },
  servers: [{ port: { number: 443, name: 'https', protocol: 'HTTPS', ...port }, hosts: ['*'], ...fields }],
});
export const external = (fields: Spec): Spec => ({
  hosts: ['api.example.com'],
  ports: [{ number: 443, name: 'https', protocol: 'TLS' }],
  resolution: 'DNS',
  ...fields,
});

/** Kinds and specs that are as the documentation shows them: nothing may refuse them. */
export const GOOD_SPECS: readonly (readonly [string, Spec])[] = [
  ['VirtualService', http({ timeout: '2s', retries: { attempts: 3, perTryTimeout: '500ms', retryOn: '5xx,503' } })],
  [
    'VirtualService',
    {
      hosts: ['productcatalogservice'],
      http: [
        {
          match: [{ headers: { 'user-agent': { regex: '.*Chrome.*' }, 'x-any': {} } }],
          fault: { delay: { percentage: { value: 0.1 }, fixedDelay: '5s' } },
          route: [{ destination: { host: 'p', subset: 'v2', port: { number: 80 } } }],
        },
        {
          route: [
            { destination: { host: 'p', subset: 'v1' }, weight: 75 },
            { destination: { host: 'p', subset: 'v2' }, weight: 25 },
          ],
          headers: { request: { set: { ':authority': 'b', 'x-ip': '%DOWNSTREAM_REMOTE_ADDRESS%' } } },
        },
      ],
    },
  ],
  ['VirtualService', { http: [{ route: [{ destination: { host: 'a' } }] }] }],
  ['VirtualService', { hosts: ['*'], gateways: ['shop-gateway'], http: [{ redirect: { uri: '/new' } }] }],
  [
    'VirtualService',
    {
      hosts: ['*.a.com'],
      gateways: ['ns/g'],
      tls: [{ match: [{ sniHosts: ['x.a.com'], port: 443 }], route: [{ destination: { host: 'a' } }] }],
    },
  ],
  [
    'DestinationRule',
    {
      host: 'p',
      subsets: [
        { name: 'v1', labels: { version: 'v1' } },
        { name: 'v2', labels: { version: 'v2' } },
      ],
    },
  ],
  [
    'DestinationRule',
    {
      host: '*.shop.svc.cluster.local',
      trafficPolicy: {
        tls: { mode: 'ISTIO_MUTUAL' },
        outlierDetection: { consecutive5xxErrors: 5, interval: '1m30s' },
      },
    },
  ],
  ['Gateway', server({ tls: { mode: 'SIMPLE', credentialName: 'cert' } })],
  ['Gateway', server({ tls: { httpsRedirect: true }, hosts: ['shop/*.example.com'] }, { protocol: 'HTTP' })],
  ['Gateway', server({ tls: { mode: 'AUTO_PASSTHROUGH' }, hosts: ['*.local'] }, { protocol: 'TLS' })],
  ['ServiceEntry', external({})],
  [
    'ServiceEntry',
    external({
      hosts: ['db'],
      resolution: 'STATIC',
      location: 'MESH_INTERNAL',
      endpoints: [{ address: '10.0.0.1', ports: { https: 8443 } }],
    }),
  ],
  ['ServiceEntry', external({ hosts: ['*.example.com'], resolution: 'NONE' })],
  ['Sidecar', { egress: [{ hosts: ['./*', 'istio-system/*'] }] }],
  [
    'Sidecar',
    {
      egress: [{ hosts: ['~/*'] }],
      ingress: [{ port: { number: 80, protocol: 'HTTP', name: 'a' }, defaultEndpoint: '127.0.0.1:8080' }],
    },
  ],
  ['AuthorizationPolicy', {}],
  ['AuthorizationPolicy', { action: 'DENY', rules: [{}] }],
  [
    'AuthorizationPolicy',
    {
      rules: [
        {
          from: [{ source: { principals: ['cluster.local/ns/a/sa/b'] } }],
          to: [{ operation: { methods: ['GET'], paths: ['/a/{*}/b', '/c*'] } }],
          when: [{ key: 'request.headers[x]', values: ['1'] }],
        },
      ],
    },
  ],
  ['PeerAuthentication', { mtls: { mode: 'STRICT' } }],
  ['PeerAuthentication', { selector: { matchLabels: { app: 'a' } }, portLevelMtls: { 8080: { mode: 'DISABLE' } } }],
  ['RequestAuthentication', { jwtRules: [{ issuer: 'a', jwksUri: 'https://a/keys' }] }],
  ['Telemetry', { accessLogging: [{ providers: [{ name: 'envoy' }] }] }],
  ['WasmPlugin', { url: 'oci://example.com/a:1', phase: 'AUTHN' }],
  ['TrafficExtension', { lua: { inlineCode: 'x = 1' } }],
  [
    'EnvoyFilter',
    {
      configPatches: [
        {
          applyTo: 'HTTP_FILTER',
          match: { context: 'GATEWAY', listener: { filterChain: { filter: { name: 'a' } } } },
          patch: { operation: 'INSERT_BEFORE', value: { name: 'b' } },
        },
      ],
    },
  ],
  ['WorkloadEntry', { address: '10.0.0.1' }],
  ['WorkloadGroup', { template: { serviceAccount: 'a' }, probe: { httpGet: { port: 80 } } }],
  ['ProxyConfig', { concurrency: 0, image: { imageType: 'distroless' } }],
];
