import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defaultMeshConfig } from '@istio-ts/api';
import { parseManifests } from '@istio-ts/kube';
import { parseConfigDump } from '@istio-ts/envoy-dump/config-dump';
import { describePod, describeService } from './describe.ts';
import { meshView } from './mesh-view.ts';

const objects = `
apiVersion: v1
kind: Service
metadata: {name: cart, namespace: shop}
spec:
  selector: {app: cart}
  clusterIP: 10.96.0.9
  ports: [{name: http, port: 80, targetPort: web}, {name: admin, port: 81}]
---
apiVersion: v1
kind: Pod
metadata: {name: cart-1, namespace: shop, labels: {app: cart, version: v1, security.istio.io/tlsMode: istio}}
spec:
  containers:
  - {name: cart, ports: [{name: web, containerPort: 8080}]}
  - {name: istio-proxy}
status: {phase: Running, podIP: 10.244.0.9, podIPs: [{ip: 10.244.0.9}]}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: cart, namespace: shop}
spec:
  host: cart
  trafficPolicy: {tls: {mode: DISABLE}}
  subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: cart, namespace: shop}
spec:
  hosts: [cart]
  http:
  - name: test
    match: [{headers: {end-user: {exact: jason}}, uri: {prefix: /a}}]
    route: [{destination: {host: cart, subset: v2}}]
    timeout: 2s
  - route:
    - {destination: {host: cart, subset: v1}, weight: 90}
    - {destination: {host: cart, subset: v3}, weight: 10}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: web, namespace: shop}
spec:
  selector: {istio: ingressgateway}
  servers: [{port: {number: 443, name: https, protocol: HTTPS}, hosts: [shop.example.com], tls: {mode: SIMPLE, credentialName: c}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web, namespace: shop}
spec:
  hosts: [shop.example.com]
  gateways: [web, missing]
  http: [{route: [{destination: {host: cart}}]}]
---
apiVersion: v1
kind: Service
metadata: {name: ingress, namespace: istio-system}
spec:
  type: LoadBalancer
  selector: {istio: ingressgateway}
  ports: [{name: https, port: 443, targetPort: 8443}]
status: {loadBalancer: {ingress: [{ip: 192.0.2.1}]}}
---
apiVersion: v1
kind: Pod
metadata: {name: ingress-1, namespace: istio-system, labels: {istio: ingressgateway}}
spec: {containers: [{name: istio-proxy}]}
status: {phase: Running}
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default, namespace: istio-system}
spec: {mtls: {mode: STRICT}}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: viewers, namespace: shop}
spec: {rules: [{to: [{operation: {methods: [GET]}}]}]}
`;

const view = meshView(parseManifests(objects, 'objects.yaml'), defaultMeshConfig());
const pod = (name: string) => {
  const found = view.pods.find(({ metadata }) => metadata.name === name);
  assert.ok(found);
  return found;
};

test('what applies to a pod', () => {
  const shown = describePod(view, pod('cart-1'), undefined, false);
  for (const line of [
    /^Pod: cart-1\n {3}Pod Revision: default\n {3}Pod Ports: 8080 \(cart\)$/m,
    /^Service: cart$/m,
    /^ {3}Port: http 80 \(HTTP\), pod port 8080$/m,
    /^DestinationRule: cart\.shop for "cart\.shop\.svc\.cluster\.local"\n {3}Matching subsets: v1 \(not: v2\)$/m,
    /^ {3}Traffic policy: TLS mode DISABLE$/m,
    /^ {3}Route "test" \/a\*, header end-user=jason -> subset v2; timeout 2s \[not to this pod\]$/m,
    /^ {3}Route \/\* -> 90% subset v1 \(this pod\), 10% subset v3$/m,
    /WARNING: subset v3 is not in the DestinationRule of callers/,
    /WARNING: callers use TLS mode DISABLE for port 80, but the pods take only mutual TLS/,
    /^Exposed by Gateway shop\/web:\n {3}https:\/\/192\.0\.2\.1 for host shop\.example\.com$/m,
    /WARNING: there is no Gateway shop\/missing/,
    /^ {3}Workload mTLS mode: STRICT\n {3}Applied: default\.istio-system$/m,
    /^ {3}viewers\.shop: ALLOW, 1 rule$/m,
  ])
    assert.match(shown, line);
  assert.doesNotMatch(shown, /Suggestion|not in the mesh/);
});

test('an Envoy without what the objects say is told of', () => {
  const cluster = { name: 'outbound|80||cart.shop.svc.cluster.local' };
  const empty = parseConfigDump(
    JSON.stringify({
      configs: [
        {
          '@type': 'type.googleapis.com/envoy.admin.v3.ClustersConfigDump',
          dynamic_active_clusters: [{ cluster }],
        },
      ],
    }),
    'test',
  );
  const shown = describePod(view, pod('cart-1'), empty, false);
  assert.match(shown, /WARNING: DestinationRule cart\.shop is not in the configuration of the pod's Envoy/);
  assert.match(shown, /WARNING: VirtualService cart\.shop is not in the configuration/);
  assert.match(shown, /WARNING: the pod's Envoy does not have viewers\.shop in force/);
});

test('what applies to a service', () => {
  const shown = describeService(view, 'shop', 'cart', undefined, false);
  assert.match(shown, /^Service: cart\.shop\n {3}Pods: 1$/m);
  assert.match(
    shown,
    /^ {3}Subset v1 \(version=v1\): 1 pod\n {3}Subset v2 \(version=v2\): 0 pods\n {3}WARNING: no pod is in subset v2/m,
  );
  assert.throws(() => describeService(view, 'shop', 'none', undefined, false), /no service "none" in namespace shop/);
});

test('a pod of a gateway tells which Gateways it serves', () => {
  const shown = describePod(view, pod('ingress-1'), undefined, true);
  assert.match(
    shown,
    /^Gateway: shop\/web\n {3}Port 443 \(HTTPS, TLS SIMPLE\) for shop\.example\.com\n {3}VirtualService: web\.shop for shop\.example\.com$/m,
  );
  assert.match(shown, /PeerAuthentication: does not apply to gateways/);
});

test('a pod outside the mesh', () => {
  const outside = { ...pod('cart-1'), spec: { containers: [{ name: 'cart' }] } };
  assert.match(describePod(view, outside, undefined, false), /WARNING: cart-1 is not in the mesh/);
  assert.doesNotMatch(describePod(view, outside, undefined, true), /not in the mesh/);
});
