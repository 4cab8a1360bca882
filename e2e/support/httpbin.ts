import { join } from 'node:path';

/** The manifest of the httpbin sample. */
export const httpbinManifest = join(import.meta.dirname, '..', '..', 'samples', 'httpbin', 'httpbin.yaml');

/** Routes every host at the ingress gateway to httpbin, to one subset of it where a destination's fields say so. */
export const everyHostToHttpbin = (destination = ''): string => `
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: all}
spec:
  selector: {istio: ingressgateway}
  servers:
  - port: {number: 80, name: http, protocol: HTTP}
    hosts: ["*"]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: httpbin}
spec:
  hosts: ["*"]
  gateways: [all]
  http:
  - route: [{destination: {host: httpbin, port: {number: 8000}${destination}}}]
`;
