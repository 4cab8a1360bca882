/** The definition of GatewayClasses, open to everything. */
export const gatewayClasses = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: {
    name: 'gatewayclasses.gateway.networking.k8s.io',
    annotations: { 'api-approved.kubernetes.io': 'unapproved, for this test' },
  },
  spec: {
    group: 'gateway.networking.k8s.io',
    scope: 'Cluster',
    names: { kind: 'GatewayClass', listKind: 'GatewayClassList', plural: 'gatewayclasses', singular: 'gatewayclass' },
    versions: [
      {
        name: 'v1',
        served: true,
        storage: true,
        schema: { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } },
      },
    ],
  },
};

const labels = { app: 'cart', version: 'v1' };
const template = { metadata: { labels }, spec: { containers: [{ name: 'cart', image: 'cart:v1' }] } };
const of = (apiVersion: string, kind: string, name: string, more: object, namespace?: string): object => ({
  apiVersion,
  kind,
  metadata: { name, ...(namespace !== undefined && { namespace }) },
  ...more,
});

/** A little of everything that the console shows. */
export const world: readonly object[] = [
  of('v1', 'ServiceAccount', 'cart', {}, 'shop'),
  of('apps/v1', 'Deployment', 'cart', { spec: { selector: { matchLabels: labels }, template } }, 'shop'),
  {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'cart-0', namespace: 'shop', labels },
    spec: {
      serviceAccountName: 'cart',
      containers: [{ name: 'istio-proxy', image: 'proxyv2' }, ...template.spec.containers],
    },
  },
  {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'istiod-0', namespace: 'istio-system', labels: { app: 'istiod' } },
    spec: { containers: [{ name: 'discovery', image: 'pilot' }] },
  },
  of('v1', 'Service', 'cart', { spec: { selector: { app: 'cart' }, ports: [{ name: 'http', port: 80 }] } }, 'shop'),
  of('v1', 'Secret', 'edge', { data: { 'tls.key': 'cHJpdmF0ZQ==' } }, 'shop'),
  of(
    'networking.istio.io/v1',
    'VirtualService',
    'cart',
    { spec: { hosts: ['cart'], http: [{ route: [{ destination: { host: 'cart', subset: 'v1' } }] }] } },
    'shop',
  ),
  of(
    'networking.istio.io/v1',
    'DestinationRule',
    'cart',
    { spec: { host: 'cart', subsets: [{ name: 'v1', labels: { version: 'v1' } }] } },
    'shop',
  ),
  of('security.istio.io/v1', 'PeerAuthentication', 'default', { spec: { mtls: { mode: 'STRICT' } } }, 'shop'),
  of('gateway.networking.k8s.io/v1', 'GatewayClass', 'istio', {
    spec: { controllerName: 'istio.io/gateway-controller' },
  }),
  of('admissionregistration.k8s.io/v1', 'ValidatingWebhookConfiguration', 'istio-validator', {
    webhooks: [
      {
        name: 'a.istio.io',
        clientConfig: { service: { namespace: 'istio-system', name: 'istiod', path: '/validate' } },
        objectSelector: { matchLabels: { none: 'none' } },
        sideEffects: 'None',
        admissionReviewVersions: ['v1'],
        failurePolicy: 'Ignore',
      },
    ],
  }),
];
