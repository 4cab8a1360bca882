import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findings, messagesOf } from '../analysis.test-support.ts';
import { ingressRouteRules } from './ingress-route-rules.ts';
import { serviceEntryForeignHost } from './service-entry-foreign-host.ts';
import { virtualServiceConflict } from './virtual-service-conflict.ts';
import { virtualServiceDestination } from './virtual-service-destination.ts';
import { virtualServiceForeignHost } from './virtual-service-foreign-host.ts';
import { virtualServiceGateway } from './virtual-service-gateway.ts';
import { virtualServiceJwtClaim } from './virtual-service-jwt-claim.ts';
import { virtualServiceRuleOrder } from './virtual-service-rule-order.ts';
import { virtualServiceSubset } from './virtual-service-subset.ts';

const service = (name: string, ports: readonly number[], extra = '') => `
---
apiVersion: v1
kind: Service
metadata: {name: ${name}, namespace: shop${extra}}
spec: {selector: {app: ${name}}, ports: [${ports.map((port) => `{name: http-${port}, port: ${port}}`).join(', ')}]}`;

const virtualService = (name: string, spec: string, namespace = 'shop') => `
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: ${name}, namespace: ${namespace}}
spec: ${spec}`;

test('destinations: unknown hosts, unknown ports, ports that are not clear', () => {
  const to = (destination: string) =>
    virtualService('vs', `{hosts: [a], http: [{route: [{destination: ${destination}}]}]}`);
  const run = (destination: string) =>
    findings(virtualServiceDestination, service('one', [80]) + service('two', [80, 90]) + to(destination));
  const at = 'VirtualService shop/vs spec.http[0].route[0].destination';
  assert.deepEqual(run('{host: one}'), []);
  assert.deepEqual(run('{host: one.shop.svc.cluster.local, port: {number: 80}}'), []);
  assert.deepEqual(run('{host: ONE}'), []);
  assert.deepEqual(run('{host: nobody}'), [`IST0101 ${at}.host`]);
  assert.deepEqual(run('{host: one.other.svc.cluster.local}'), [`IST0101 ${at}.host`]);
  assert.deepEqual(run('{host: one, port: {number: 81}}'), [`IST0101 ${at}.port.number`]);
  assert.deepEqual(run('{host: two}'), [`IST0112 ${at}`]);
  assert.deepEqual(run('{host: two, port: {number: 90}}'), []);
});

test('destinations: mirrors, TCP routes, ServiceEntries, wildcards, visibility, delegates', () => {
  const entry = (hosts: string, extra = '') => `
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: ext, namespace: outside}
spec: {hosts: [${hosts}], ports: [{number: 443, name: tls, protocol: TLS}], resolution: DNS${extra}}`;
  const vs = virtualService(
    'vs',
    '{hosts: [a], http: [{route: [{destination: {host: api.example.com}}], mirror: {host: copy}}], tcp: [{route: [{destination: {host: db}}]}]}',
  );
  const others = [
    'IST0101 VirtualService shop/vs spec.http[0].mirror.host',
    'IST0101 VirtualService shop/vs spec.tcp[0].route[0].destination.host',
  ];
  const first = 'IST0101 VirtualService shop/vs spec.http[0].route[0].destination.host';
  assert.deepEqual(findings(virtualServiceDestination, vs + entry('api.example.com')), others);
  assert.deepEqual(findings(virtualServiceDestination, vs + entry('"*.example.com"')), others);
  assert.deepEqual(findings(virtualServiceDestination, vs + entry('api.example.com', ', exportTo: ["."]')), [
    others[0],
    first,
    others[1],
  ]);
  const root = virtualService('root', '{hosts: [a], http: [{delegate: {name: part}}]}');
  assert.deepEqual(findings(virtualServiceDestination, root), [
    'IST0101 VirtualService shop/root spec.http[0].delegate.name',
  ]);
  assert.deepEqual(
    findings(virtualServiceDestination, root + virtualService('part', '{http: [{redirect: {uri: /}}]}')),
    [],
  );
});

test('subsets', () => {
  const rule = (namespace: string, extra = '') => `
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: one, namespace: ${namespace}}
spec: {host: one.shop.svc.cluster.local, subsets: [{name: v1, labels: {version: v1}}]${extra}}`;
  const vs = (subset: string) =>
    virtualService('vs', `{hosts: [one], http: [{route: [{destination: {host: one, subset: ${subset}}}]}]}`);
  const missing = ['IST0101 VirtualService shop/vs spec.http[0].route[0].destination.subset'];
  assert.deepEqual(findings(virtualServiceSubset, vs('v1') + rule('shop')), []);
  assert.deepEqual(findings(virtualServiceSubset, vs('v2') + rule('shop')), missing);
  assert.deepEqual(findings(virtualServiceSubset, vs('v1') + rule('other')), []);
  assert.deepEqual(findings(virtualServiceSubset, vs('v1') + rule('other', ', exportTo: ["."]')), missing);
  assert.match(messagesOf(virtualServiceSubset, vs('v2'))[0]?.text ?? '', /one\+v2/);
});

test('gateways: unknown, not serving the host, generated', () => {
  const gateway = (hosts: string) => `
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: gw, namespace: edge}
spec: {selector: {istio: ingressgateway}, servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: [${hosts}]}]}`;
  const run = (hosts: string, named = 'edge/gw') =>
    findings(
      virtualServiceGateway,
      gateway(hosts) + virtualService('vs', `{hosts: [a.example.com, b.example.com], gateways: [mesh, ${named}]}`),
    );
  const at = 'VirtualService shop/vs spec.gateways[1]';
  assert.deepEqual(run('"*"'), []);
  assert.deepEqual(run('"*.example.com"'), []);
  assert.deepEqual(run('a.example.com, shop/b.example.com'), []);
  assert.deepEqual(run('a.example.com'), [`IST0132 ${at}`]);
  assert.deepEqual(run('other/*'), [`IST0132 ${at}`]);
  assert.deepEqual(run('./*'), [`IST0132 ${at}`]);
  assert.deepEqual(run('"*"', 'gw'), [`IST0101 ${at}`]);
  assert.deepEqual(run('"*"', 'edge/x-istio-autogenerated-k8s-gateway-http'), [`IST0165 ${at}`]);
});

test('hosts that several VirtualServices claim in the mesh', () => {
  const vs = (name: string, namespace: string, extra = '') =>
    virtualService(name, `{hosts: [one.shop.svc.cluster.local]${extra}}`, namespace);
  const run = (a: string, b: string) => findings(virtualServiceConflict, a + b);
  const both = ['IST0109 VirtualService other/b spec.hosts[0]', 'IST0109 VirtualService shop/a spec.hosts[0]'];
  assert.deepEqual(run(vs('a', 'shop'), vs('b', 'other')), both);
  assert.deepEqual(run(vs('a', 'shop', ', gateways: [gw, mesh]'), vs('b', 'other')), both);
  assert.deepEqual(run(virtualService('a', '{hosts: [one]}'), vs('b', 'other')), both);
  assert.deepEqual(run(vs('a', 'shop', ', gateways: [gw]'), vs('b', 'other')), []);
  assert.deepEqual(run(vs('a', 'shop', ', exportTo: ["."]'), vs('b', 'other', ', exportTo: ["."]')), []);
  assert.deepEqual(run(vs('a', 'shop', ', exportTo: ["."]'), vs('b', 'other')), both);
});

test('rules and matches that never take effect', () => {
  const run = (http: string) =>
    findings(virtualServiceRuleOrder, virtualService('vs', `{hosts: [a], http: [${http}]}`));
  const at = 'VirtualService shop/vs spec.http';
  assert.deepEqual(run('{match: [{uri: {prefix: /a}}]}, {}'), []);
  assert.deepEqual(run('{}, {match: [{uri: {prefix: /a}}]}'), [`IST0130 ${at}[1]`]);
  assert.deepEqual(run('{match: [{uri: {prefix: /}}]}, {}'), [`IST0130 ${at}[1]`]);
  assert.deepEqual(run('{match: [{uri: {prefix: /}, method: {exact: GET}}]}, {}'), []);
  assert.deepEqual(
    run(
      '{match: [{uri: {prefix: /a}, method: {exact: GET}}]}, {match: [{method: {exact: GET}, uri: {prefix: /a}, name: x}]}',
    ),
    [`IST0130 ${at}[1]`],
  );
  assert.deepEqual(run('{match: [{uri: {prefix: /a}}]}, {match: [{uri: {prefix: /a}}, {uri: {prefix: /b}}]}'), [
    `IST0131 ${at}[1].match[0]`,
  ]);
});

test('routes by claims need a policy that verifies tokens', () => {
  const vs = virtualService(
    'vs',
    '{hosts: [a], gateways: [gw], http: [{match: [{headers: {"@request.auth.claims.group": {exact: dev}}}]}]}',
  );
  const gateway = `
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: gw, namespace: shop}
spec: {selector: {istio: ingressgateway}, servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}]}`;
  const policy = (selector: string) => `
---
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: jwt, namespace: istio-system}
spec: {selector: {matchLabels: {istio: ${selector}}}, jwtRules: [{issuer: x, jwksUri: "https://x.example/jwks"}]}`;
  const missing = ['IST0149 VirtualService shop/vs spec.http[0].match[0].headers["@request.auth.claims.group"]'];
  assert.deepEqual(findings(virtualServiceJwtClaim, vs + gateway), missing);
  assert.deepEqual(findings(virtualServiceJwtClaim, vs + gateway + policy('egressgateway')), missing);
  assert.deepEqual(findings(virtualServiceJwtClaim, vs + gateway + policy('ingressgateway')), []);
});

test('traffic of gateways that passes the rules of the mesh by', () => {
  const split = (gateways = '') =>
    virtualService('split', `{hosts: [one], ${gateways}http: [{route: [{destination: {host: one, subset: v1}}]}]}`);
  const edge = (subset = '') =>
    virtualService(
      'edge',
      `{hosts: [a.example], gateways: [gw], http: [{route: [{destination: {host: one${subset}}}]}]}`,
    );
  assert.deepEqual(findings(ingressRouteRules, split() + edge()), ['IST0140 VirtualService shop/split spec.hosts']);
  assert.deepEqual(findings(ingressRouteRules, split('gateways: [gw, mesh], ') + edge()), []);
  assert.deepEqual(findings(ingressRouteRules, split() + edge(', subset: v2')), []);
});

test('hosts of other namespaces: claimed for those, not for oneself, and not by administrators', () => {
  const route = 'http: [{route: [{destination: {host: own}}]}]';
  const run = (hosts: string, namespace = 'thief', extra = '') =>
    findings(
      virtualServiceForeignHost,
      service('cart', [80]) + virtualService('vs', `{hosts: [${hosts}], ${extra}${route}}`, namespace),
    );
  const at = 'VirtualService thief/vs spec.hosts';
  assert.deepEqual(run('own, cart.shop.svc.cluster.local'), [`IST9001 ${at}[1]`]);
  assert.deepEqual(run('"*.shop.svc.cluster.local"'), [`IST9001 ${at}[0]`]);
  assert.deepEqual(run('cart, nobody.example.com'), []);
  assert.deepEqual(run('cart.shop.svc.cluster.local', 'thief', 'exportTo: ["."], '), []);
  assert.deepEqual(run('cart.shop.svc.cluster.local', 'thief', 'gateways: [edge/public], '), []);
  assert.deepEqual(run('cart', 'shop'), []);
  assert.deepEqual(run('cart.shop.svc.cluster.local', 'istio-system'), []);

  const entry = (host: string, namespace = 'thief', extra = '') => `
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: ext, namespace: ${namespace}}
spec: {hosts: ["${host}"], ports: [{number: 80, name: http, protocol: HTTP}], resolution: DNS${extra}}`;
  const defined = (...yaml: readonly string[]) =>
    findings(serviceEntryForeignHost, service('cart', [80]) + yaml.join(''));
  assert.deepEqual(defined(entry('cart.shop.svc.cluster.local')), ['IST9002 ServiceEntry thief/ext spec.hosts[0]']);
  assert.deepEqual(defined(entry('cart.shop.svc.cluster.local', 'thief', ', exportTo: ["."]')), []);
  assert.deepEqual(defined(entry('api.example.com'), entry('api.example.com', 'shop')), []);
  // A definition of one's own does not make it one's own.
  const both = service('cart', [80]) + entry('cart.shop.svc.cluster.local');
  const routed = virtualService('vs', `{hosts: [cart.shop.svc.cluster.local], ${route}}`, 'thief');
  assert.deepEqual(findings(virtualServiceForeignHost, both + routed), [`IST9001 ${at}[0]`]);
});
