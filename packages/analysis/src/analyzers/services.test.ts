import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findings } from '../analysis.test-support.ts';
import { deploymentServices } from './deployment-services.ts';
import { destinationRuleCa } from './destination-rule-ca.ts';
import { destinationRulePods } from './destination-rule-pods.ts';
import { schemaValidation } from './schema-validation.ts';
import { serviceEntryAddresses } from './service-entry-addresses.ts';
import { serviceEntryProtocol } from './service-entry-protocol.ts';
import { servicePortName } from './service-port-name.ts';
import { sidecarDefault, sidecarSelector } from './sidecar-selector.ts';

const object = (kind: string, apiVersion: string, name: string, rest: string, namespace = 'shop', labels = '') => `
---
apiVersion: ${apiVersion}
kind: ${kind}
metadata: {name: ${name}, namespace: ${namespace}, labels: {${labels}}}
${rest}`;
const istio = (kind: string, name: string, spec: string, namespace?: string) =>
  object(kind, 'networking.istio.io/v1', name, `spec: ${spec}`, namespace);
const service = (name: string, spec: string, namespace?: string) =>
  object('Service', 'v1', name, `spec: ${spec}`, namespace);
const pod = (name: string, labels: string, namespace?: string) =>
  object('Pod', 'v1', name, 'spec: {containers: []}', namespace, labels);

test('names of ports', () => {
  const run = (ports: string, extra = '', namespace?: string) =>
    findings(servicePortName, service('web', `{${extra}ports: [${ports}]}`, namespace));
  const at = 'Service shop/web spec.ports[0]';
  for (const good of [
    '{name: http, port: 80}',
    '{name: grpc-web-x, port: 80}',
    '{name: x, appProtocol: http, port: 80}',
    '{name: x, protocol: UDP, port: 80}',
    '{name: tcp-x, port: 80}',
  ])
    assert.deepEqual(run(good), [], good);
  assert.deepEqual(run('{name: web, port: 80}'), [`IST0118 ${at}`]);
  assert.deepEqual(run('{port: 80}'), [`IST0118 ${at}`]);
  assert.deepEqual(run('{name: web, port: 80}', '', 'istio-system'), []);
  assert.deepEqual(run('{name: web, port: 80}', 'type: ExternalName, externalName: a.b, '), [`IST0150 ${at}`]);
  assert.deepEqual(run('{name: tcp-x, port: 80}', 'type: ExternalName, externalName: a.b, '), [`IST0150 ${at}`]);
  assert.deepEqual(run('{name: https, port: 443}', 'type: ExternalName, externalName: a.b, '), []);
});

test('TLS without authorities', () => {
  const run = (spec: string) => findings(destinationRuleCa, istio('DestinationRule', 'dr', `{host: db, ${spec}}`));
  const at = 'DestinationRule shop/dr spec';
  assert.deepEqual(run('trafficPolicy: {tls: {mode: SIMPLE}}'), [`IST0128 ${at}.trafficPolicy.tls`]);
  assert.deepEqual(run('trafficPolicy: {tls: {mode: SIMPLE, caCertificates: /x.pem}}'), []);
  assert.deepEqual(run('trafficPolicy: {tls: {mode: MUTUAL, credentialName: x}}'), []);
  assert.deepEqual(run('trafficPolicy: {tls: {mode: ISTIO_MUTUAL}}'), []);
  assert.deepEqual(run('trafficPolicy: {portLevelSettings: [{port: {number: 1}, tls: {mode: SIMPLE}}]}'), [
    `IST0129 ${at}.trafficPolicy.portLevelSettings[0].tls`,
  ]);
  assert.deepEqual(run('subsets: [{name: a, trafficPolicy: {tls: {mode: SIMPLE}}}]'), [
    `IST0128 ${at}.subsets[0].trafficPolicy.tls`,
  ]);
});

test('hosts and subsets of DestinationRules', () => {
  const rule = (host: string, labels = 'version: v1') =>
    istio('DestinationRule', 'dr', `{host: ${host}, subsets: [{name: s, labels: {${labels}}}]}`);
  const base =
    service('db', '{selector: {app: db}, ports: [{name: tcp, port: 1}]}') + pod('db-1', 'app: db, version: v1');
  const subset = ['IST0173 DestinationRule shop/dr spec.subsets[0]'];
  assert.deepEqual(findings(destinationRulePods, base + rule('db')), []);
  assert.deepEqual(findings(destinationRulePods, base + rule('dbb')), ['IST0174 DestinationRule shop/dr spec.host']);
  assert.deepEqual(findings(destinationRulePods, base + rule('"*.cluster.local"')), []);
  assert.deepEqual(findings(destinationRulePods, base + rule('"*.example"')), [
    'IST0174 DestinationRule shop/dr spec.host',
  ]);
  assert.deepEqual(findings(destinationRulePods, base + rule('db', 'version: v2')), subset);
  assert.deepEqual(
    findings(destinationRulePods, base + pod('x', 'app: other, version: v2') + rule('db', 'version: v2')),
    subset,
  );
  assert.deepEqual(
    findings(destinationRulePods, base + pod('x', 'app: db, version: v2', 'far') + rule('db', 'version: v2')),
    subset,
  );
  assert.deepEqual(findings(destinationRulePods, base + rule('db', 'version: v1, topology.kubernetes.io/zone: a')), []);
  const deployment = object(
    'Deployment',
    'apps/v1',
    'db2',
    'spec: {template: {metadata: {labels: {app: db, version: v2}}}}',
  );
  assert.deepEqual(findings(destinationRulePods, base + deployment + rule('db', 'version: v2')), []);
  const entry = istio(
    'ServiceEntry',
    'ext',
    '{hosts: [ext.example], resolution: STATIC, ports: [{number: 1, name: tcp, protocol: TCP}], endpoints: [{address: 1.2.3.4, labels: {version: v1}}]}',
  );
  assert.deepEqual(findings(destinationRulePods, entry + rule('ext.example')), []);
  assert.deepEqual(findings(destinationRulePods, entry + rule('ext.example', 'version: v9')), subset);
});

test('services that disagree about a deployment', () => {
  const namespace = (labels: string) => `
---
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {${labels}}}`;
  const deployment = object('Deployment', 'apps/v1', 'web', 'spec: {template: {metadata: {labels: {app: web}}}}');
  const front = (port: string, name = 'a') => service(name, `{selector: {app: web}, ports: [${port}]}`);
  const run = (a: string, b: string, labels = 'istio-injection: enabled') =>
    findings(deploymentServices, namespace(labels) + deployment + front(a) + front(b, 'b'));
  const http = '{name: http, port: 80, targetPort: 8080}';
  assert.deepEqual(run(http, http), []);
  assert.deepEqual(run(http, '{name: tcp, port: 80, targetPort: 8080}'), ['IST0116 Deployment shop/web']);
  assert.deepEqual(run(http, '{name: tcp, port: 80, targetPort: 8080}', ''), []);
  assert.deepEqual(run(http, '{name: http, port: 81, targetPort: 8080}'), ['IST0137 Deployment shop/web']);
  assert.deepEqual(run(http, '{name: tcp, port: 81, targetPort: 9090}'), []);
});

test('ServiceEntries without addresses', () => {
  const run = (spec: string, labels = '') =>
    findings(
      serviceEntryAddresses,
      object('ServiceEntry', 'networking.istio.io/v1', 'se', `spec: {hosts: [a.b], ${spec}}`, 'shop', labels),
    );
  const tcp = 'ports: [{number: 1, name: x, protocol: TCP}]';
  assert.deepEqual(run(tcp), ['IST0134 ServiceEntry shop/se spec.ports[0]']);
  assert.deepEqual(run('ports: [{number: 1, name: x, protocol: tcp}]'), ['IST0134 ServiceEntry shop/se spec.ports[0]']);
  assert.deepEqual(run('ports: [{number: 1, name: x}]'), ['IST0134 ServiceEntry shop/se spec.ports[0]']);
  assert.deepEqual(run('ports: [{number: 1, name: x, protocol: HTTP}]'), []);
  assert.deepEqual(run(`${tcp}, addresses: [10.0.0.1]`), []);
  assert.deepEqual(run(tcp, 'networking.istio.io/enable-autoallocate-ip: "true"'), []);
});

test('ServiceEntries that disagree about a protocol', () => {
  const entry = (name: string, protocol: string, extra = '', namespace?: string) =>
    istio(
      'ServiceEntry',
      name,
      `{hosts: [a.b], ports: [{number: 443, name: x, protocol: ${protocol}}]${extra}}`,
      namespace,
    );
  const both = ['a', 'b'].map((name) => `IST0177 ServiceEntry shop/${name} spec.ports[0].protocol`);
  assert.deepEqual(findings(serviceEntryProtocol, entry('a', 'TLS') + entry('b', 'HTTP')), both);
  assert.deepEqual(findings(serviceEntryProtocol, entry('a', 'TLS') + entry('b', 'tls')), []);
  assert.deepEqual(
    findings(
      serviceEntryProtocol,
      entry('a', 'TLS', ', exportTo: ["."]') + entry('b', 'HTTP', ', exportTo: ["."]', 'far'),
    ),
    [],
  );
});

test('selectors of Sidecars', () => {
  const sidecar = (name: string, labels = '', namespace?: string) =>
    istio(
      'Sidecar',
      name,
      `{${labels === '' ? '' : `workloadSelector: {labels: {${labels}}}, `}egress: [{hosts: ["./*"]}]}`,
      namespace,
    );
  const both = (code: string, path = '') => ['a', 'b'].map((name) => `${code} Sidecar shop/${name}${path}`);
  const pods = pod('p', 'app: web, tier: front');
  assert.deepEqual(
    findings(sidecarSelector, pods + sidecar('a', 'app: web') + sidecar('b', 'tier: front')),
    both('IST0110', ' spec.workloadSelector'),
  );
  assert.deepEqual(findings(sidecarSelector, pods + sidecar('a', 'app: web') + sidecar('b')), []);
  assert.deepEqual(findings(sidecarSelector, pods + sidecar('a', 'app: none')), [
    'IST0101 Sidecar shop/a spec.workloadSelector.labels',
  ]);
  assert.deepEqual(findings(sidecarSelector, pods + sidecar('a', 'app: web', 'far')), [
    'IST0101 Sidecar far/a spec.workloadSelector.labels',
  ]);
  assert.deepEqual(findings(sidecarDefault, sidecar('a') + sidecar('b')), both('IST0111'));
  assert.deepEqual(findings(sidecarDefault, sidecar('a') + sidecar('b', '', 'far') + sidecar('c', 'app: web')), []);
});

test('deprecated fields have a message of their own, rules that are never used too', () => {
  const rule = istio('DestinationRule', 'dr', '{host: db, trafficPolicy: {loadBalancer: {simple: LEAST_CONN}}}');
  assert.deepEqual(findings(schemaValidation, rule), [
    'IST0002 DestinationRule shop/dr spec.trafficPolicy.loadBalancer.simple',
  ]);
  const route = '{route: [{destination: {host: db}}]}';
  assert.deepEqual(
    findings(schemaValidation, istio('VirtualService', 'vs', `{hosts: [db], http: [${route}, ${route}]}`)),
    [],
  );
});
