import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { proves } from '@istio-ts/xds/field-proof';
import { certificateFor, type Pair, readerOfSecrets, savePair, secret } from '../support/certificates.ts';
import { eventually, until } from '../support/shell.ts';
import type { Mesh } from './mesh.ts';

const host = 'httpbin.sidecar.test';

/** TLS of clients outside of the mesh that ends at the sidecar of httpbin and not at a gateway. */
export function sidecarTls(mesh: () => Mesh): void {
  const folder = mkdtempSync(join(tmpdir(), 'istio-ts-sidecar-tls-'));
  after(() => rmSync(folder, { recursive: true, force: true }));
  const authority = certificateFor('sidecar.test');
  const server = certificateFor(host, authority);
  const saved = (name: string, pair: Pair) => savePair(folder, name, pair);
  const ca = saved('ca', authority).cert;
  const client = saved('client', certificateFor('client.sidecar.test', authority));

  test('ingress sidecar TLS termination: with a Secret that the workload may read', async () => {
    proves(
      'Sidecar.spec.ingress[].tls.mode',
      'Sidecar.spec.ingress[].tls.credentialName',
      'Sidecar.spec.ingress[].defaultEndpoint',
    );
    const { cluster } = mesh();
    const data = { 'tls.crt': server.certificate, 'tls.key': server.key, 'ca.crt': authority.certificate };
    await mesh().apply(JSON.stringify({ apiVersion: 'v1', kind: 'List', items: [secret('httpbin-own', data)] }));
    await mesh().apply(`
apiVersion: v1
kind: Service
metadata:
  name: httpbin-external
spec:
  type: LoadBalancer
  selector: {app: httpbin, version: v1}
  ports:
    - {name: https, port: 8443, targetPort: 9080}
    - {name: tls, port: 8444, targetPort: 9081}
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata:
  name: httpbin-external
spec:
  selector:
    matchLabels: {app: httpbin, version: v1}
  mtls: {mode: STRICT}
  portLevelMtls:
    9080: {mode: DISABLE}
    9081: {mode: DISABLE}
---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata:
  name: httpbin-external
spec:
  workloadSelector:
    labels: {app: httpbin, version: v1}
  ingress:
    - port: {number: 9080, protocol: HTTPS, name: https}
      defaultEndpoint: 0.0.0.0:80
      tls: {mode: MUTUAL, credentialName: httpbin-own}
    - port: {number: 9081, protocol: TLS, name: tls}
      defaultEndpoint: 0.0.0.0:80
      tls: {mode: SIMPLE, credentialName: httpbin-own}
    - port: {number: 80, protocol: HTTP, name: http}
      defaultEndpoint: 0.0.0.0:80
`);
    const address = await cluster.loadBalancer('default', 'httpbin-external');
    const status = async (port: number, ...more: readonly string[]) =>
      (
        await mesh().curlHere(
          ...['-o', '/dev/null', '-w', '%{http_code}', '--cacert', ca, ...more],
          ...['--resolve', `${host}:${port}:${address}`, `https://${host}:${port}/status/418`],
        )
      ).stdout;
    const becomes = (wanted: string, port: number, ...more: readonly string[]) =>
      until(`${wanted} at port ${port}`, async () => {
        const seen = await status(port, ...more);
        if (seen !== wanted) throw new Error(`it is ${seen}`);
        return seen;
      });
    const own = ['--cert', client.cert, '--key', client.key] as const;
    assert.equal(await status(8443, ...own), '000', 'no certificate for an account that may not read Secrets');
    await mesh().apply(JSON.stringify({ apiVersion: 'v1', kind: 'List', items: readerOfSecrets('httpbin') }));
    await becomes('418', 8443, ...own);
    await becomes('418', 8444);
    assert.equal(await status(8443), '000', 'a client has to show a certificate');
    // The other ports take mutual TLS of the mesh and nothing else.
    await eventually('mutual TLS', async () =>
      assert.match(
        await mesh().curl('-o', '/dev/null', '-w', '%{http_code}', 'http://httpbin:8000/status/418'),
        /^418$/,
      ),
    );
    await mesh().remove('sidecar/httpbin-external', 'peerauthentication/httpbin-external', 'service/httpbin-external');
    await mesh().remove('secret/httpbin-own', 'role/reads-secrets', 'rolebinding/reads-secrets');
  });
}
