/** Texts to begin new objects with, by kind; `NAMESPACE` is replaced. */
const object = (kind: string, group: string, spec: string, version = 'v1') => `apiVersion: ${group}/${version}
kind: ${kind}
metadata:
  name: my-${kind.toLowerCase()}
  namespace: NAMESPACE
spec:
${spec}`;

const networking = 'networking.istio.io';
const security = 'security.istio.io';

export const templates: Readonly<Record<string, string>> = {
  VirtualService: object(
    'VirtualService',
    networking,
    `  hosts:
    - my-service
  http:
    - route:
        - destination:
            host: my-service
            subset: v1
          weight: 90
        - destination:
            host: my-service
            subset: v2
          weight: 10
`,
  ),
  DestinationRule: object(
    'DestinationRule',
    networking,
    `  host: my-service
  subsets:
    - name: v1
      labels:
        version: v1
    - name: v2
      labels:
        version: v2
`,
  ),
  Gateway: object(
    'Gateway',
    networking,
    `  selector:
    istio: ingressgateway
  servers:
    - port:
        number: 80
        name: http
        protocol: HTTP
      hosts:
        - shop.example.com
`,
  ),
  ServiceEntry: object(
    'ServiceEntry',
    networking,
    `  hosts:
    - api.example.com
  location: MESH_EXTERNAL
  resolution: DNS
  ports:
    - number: 443
      name: tls
      protocol: TLS
`,
  ),
  Sidecar: object(
    'Sidecar',
    networking,
    `  egress:
    - hosts:
        - ./*
        - istio-system/*
`,
  ),
  PeerAuthentication: object('PeerAuthentication', security, '  mtls:\n    mode: STRICT\n'),
  AuthorizationPolicy: object(
    'AuthorizationPolicy',
    security,
    `  action: ALLOW
  rules:
    - from:
        - source:
            principals:
              - cluster.local/ns/NAMESPACE/sa/my-caller
      to:
        - operation:
            methods:
              - GET
`,
  ),
  RequestAuthentication: object(
    'RequestAuthentication',
    security,
    `  jwtRules:
    - issuer: https://issuer.example.com
      jwksUri: https://issuer.example.com/keys
`,
  ),
  Telemetry: object('Telemetry', 'telemetry.istio.io', '  accessLogging:\n    - providers:\n        - name: envoy\n'),
  HTTPRoute: object(
    'HTTPRoute',
    'gateway.networking.k8s.io',
    `  parentRefs:
    - name: my-gateway
  rules:
    - matches:
        - path:
            type: PathPrefix
            value: /
      backendRefs:
        - name: my-service
          port: 80
`,
  ),
};

export const templateFor = (kind: string, namespace: string): string =>
  (templates[kind] ?? '').replaceAll('NAMESPACE', namespace);
