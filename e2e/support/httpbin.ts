import { join } from 'node:path';

/** The manifest of the httpbin sample. */
export const httpbinManifest = join(import.meta.dirname, '..', '..', 'samples', 'httpbin', 'httpbin.yaml');

/** A Gateway of the ingress gateway: HTTP at port 80. */
export const ingressAt = (name: string, host = '*'): string => `
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: ${name}}
spec:
  selector: {istio: ingressgateway}
  servers:
  - port: {number: 80, name: http, protocol: HTTP}
    hosts: ["${host}"]
---`;

/** Routes of every host at the ingress gateway: the items of `http`, YAML of one level of indentation. In the namespace of httpbin. */
export const routesOfEveryHost = (routes: string): string => `${ingressAt('all')}
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: httpbin}
spec:
  hosts: ["*"]
  gateways: [all]
  http:
${routes}
`;

/** Routes every host at the ingress gateway to httpbin, to one subset of it where a destination's fields say so. */
export const everyHostToHttpbin = (destination = ''): string =>
  routesOfEveryHost(`  - route: [{destination: {host: httpbin, port: {number: 8000}${destination}}}]`);

/** What `routesOfEveryHost` makes. */
export const everyHost = ['virtualservice/httpbin', 'gateway/all'] as const;
