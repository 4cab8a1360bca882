import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { proves } from '@istio-ts/xds/field-proof';
import { certificateFor, type Pair, savePair } from '../support/certificates.ts';
import { ingressAt } from '../support/httpbin.ts';
import { until } from '../support/shell.ts';
import type { Mesh } from './mesh.ts';

/** Ingress gateways and secure gateways, with httpbin behind them. */
export function ingress(mesh: () => Mesh): void {
  const folder = mkdtempSync(join(tmpdir(), 'istio-ts-tasks-'));
  after(() => rmSync(folder, { recursive: true, force: true }));
  const authority = certificateFor('example.test');
  const saved = (name: string, pair: Pair) => savePair(folder, name, pair);
  const ca = saved('ca', authority).cert;
  const httpbin = saved('httpbin', certificateFor('httpbin.example.test', authority));
  const helloworld = saved('helloworld', certificateFor('helloworld.example.test', authority));
  const client = saved('client', certificateFor('client.example.test', authority));

  const status = async (...args: readonly string[]) =>
    (await mesh().curlHere('-o', '/dev/null', '-w', '%{http_code}', ...args)).stdout;
  const becomes = (wanted: string, ...args: readonly string[]) =>
    until(`${wanted} of ${args.join(' ')}`, async () => {
      const seen = await status(...args);
      if (seen !== wanted) throw new Error(`it is ${seen}`);
      return seen;
    });
  const secure = (host: string, path: string, ...args: readonly string[]) => [
    ...args,
    ...['--resolve', `${host}:443:${mesh().ingress}`, '--cacert', ca, `https://${host}${path}`],
  ];
  const toHttpbin = (more = '') => `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: httpbin
spec:
  hosts: ["httpbin.example.test"]
  gateways: [${more || 'httpbin-gateway'}]
  http:
    - match:
        - uri: {prefix: /status}
        - uri: {prefix: /delay}
      route:
        - destination: {host: httpbin, port: {number: 8000}}
`;

  test('ingress gateways: a host and some of its paths', async () => {
    await mesh().apply(`${ingressAt('httpbin-gateway', 'httpbin.example.test')}${toHttpbin()}`);
    const at = (path: string) => ['-H', 'Host: httpbin.example.test', `http://${mesh().ingress}${path}`];
    await becomes('200', ...at('/status/200'));
    await becomes('418', ...at('/status/418'));
    await becomes('404', ...at('/headers'));
    await becomes('404', '-H', 'Host: other.example.test', `http://${mesh().ingress}/status/200`);
  });

  test('secure gateways: one host, several hosts, a new certificate', async () => {
    proves('Gateway.spec.servers[].tls.mode', 'Gateway.spec.servers[].tls.credentialName');
    const { cluster } = mesh();
    const tlsSecret = (name: string, files: { readonly cert: string; readonly key: string }) =>
      cluster.kubectl(
        ...['create', '-n', 'istio-system', 'secret', 'tls', name, `--key=${files.key}`, `--cert=${files.cert}`],
      );
    await tlsSecret('httpbin-credential', httpbin);
    await tlsSecret('helloworld-credential', helloworld);
    await mesh().apply(`
apiVersion: networking.istio.io/v1
kind: Gateway
metadata:
  name: secure-gateway
spec:
  selector: {istio: ingressgateway}
  servers:
    - port: {number: 443, name: https-httpbin, protocol: HTTPS}
      tls: {mode: SIMPLE, credentialName: httpbin-credential}
      hosts: ["httpbin.example.test"]
    - port: {number: 443, name: https-helloworld, protocol: HTTPS}
      tls: {mode: SIMPLE, credentialName: helloworld-credential}
      hosts: ["helloworld.example.test"]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: helloworld
spec:
  hosts: ["helloworld.example.test"]
  gateways: [secure-gateway]
  http:
    - match:
        - uri: {exact: /hello}
      route:
        - destination: {host: helloworld, port: {number: 5000}}
---${toHttpbin('secure-gateway')}`);
    await becomes('418', ...secure('httpbin.example.test', '/status/418'));
    await becomes('200', ...secure('helloworld.example.test', '/hello'));
    const other = certificateFor('httpbin.example.test');
    const files = saved('other', other);
    await cluster.kubectl('-n', 'istio-system', 'delete', 'secret', 'httpbin-credential');
    await tlsSecret('httpbin-credential', files);
    // The new certificate is signed by nobody curl trusts here: it fails as long as only the first authority is named.
    await becomes('000', ...secure('httpbin.example.test', '/status/418'));
    const trusting = secure('httpbin.example.test', '/status/418').map((word) => (word === ca ? files.cert : word));
    await becomes('418', ...trusting);
    await cluster.kubectl('-n', 'istio-system', 'delete', 'secret', 'httpbin-credential');
  });

  test('secure gateways: mutual TLS', async () => {
    const { cluster } = mesh();
    await cluster.kubectl(
      ...['create', '-n', 'istio-system', 'secret', 'generic', 'httpbin-credential'],
      ...[`--from-file=tls.key=${httpbin.key}`, `--from-file=tls.crt=${httpbin.cert}`, `--from-file=ca.crt=${ca}`],
    );
    await mesh().apply(`
apiVersion: networking.istio.io/v1
kind: Gateway
metadata:
  name: secure-gateway
spec:
  selector: {istio: ingressgateway}
  servers:
    - port: {number: 443, name: https, protocol: HTTPS}
      tls: {mode: MUTUAL, credentialName: httpbin-credential}
      hosts: ["httpbin.example.test"]
`);
    await becomes('418', ...secure('httpbin.example.test', '/status/418', '--cert', client.cert, '--key', client.key));
    // Without a certificate of its own the client gets nothing.
    await becomes('000', ...secure('httpbin.example.test', '/status/418'));
    await becomes('418', ...secure('httpbin.example.test', '/status/418', '--cert', client.cert, '--key', client.key));
    await mesh().remove('gateway/secure-gateway', 'gateway/httpbin-gateway', 'virtualservice/httpbin');
    await mesh().remove('virtualservice/helloworld');
  });
}
