import { test } from 'node:test';
import { proves } from '@istio-ts/xds/field-proof';
import { certificateFor, type Pair, readerOfSecrets, secret } from '../support/certificates.ts';
import { ingressAt } from '../support/httpbin.ts';
import { becomes, type Lab } from './lab.ts';

const host = 'secure.outside.test';
/** Nobody is at this address: what goes there is the mesh's to route. */
const nowhere = '240.0.0.11';

/** Takes clients that show a certificate, and tells the name in it; each request has a connection of its own. */
const program = `
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
const file = (name) => readFileSync('/certs/' + name);
const tls = { cert: file('tls.crt'), key: file('tls.key'), ca: file('ca.crt'), requestCert: true, rejectUnauthorized: true };
createServer(tls, (request, response) => {
  response.setHeader('connection', 'close');
  response.end(request.socket.getPeerCertificate().subject.CN);
}).listen(8443);
`;
const list = (items: readonly object[]) => JSON.stringify({ apiVersion: 'v1', kind: 'List', items });

/** TLS that proxies open to a server outside of the mesh, with client certificates from Secrets that change. */
export function origination(lab: () => Lab): void {
  const authority = certificateFor('outside.test');
  const server = certificateFor(host, authority);
  const credential = (client: Pair) =>
    secret('client-credential', {
      'tls.crt': client.certificate,
      'tls.key': client.key,
      'ca.crt': authority.certificate,
    });
  const clients = ['first.outside.test', 'second.outside.test'].map((name) => ({
    name,
    pair: certificateFor(name, authority),
  }));
  const rule = (more: string) => `
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata:
  name: outside
spec:
  host: ${host}
${more}  trafficPolicy:
    tls: {mode: MUTUAL, credentialName: client-credential, sni: ${host}, subjectAltNames: [${host}]}
`;

  test('a server that asks clients for a certificate', async () => {
    await lab().apply(
      list([
        { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'outside' }, data: { 'server.mjs': program } },
        secret('outside', { 'tls.crt': server.certificate, 'tls.key': server.key, 'ca.crt': authority.certificate }),
        {
          apiVersion: 'apps/v1',
          kind: 'Deployment',
          metadata: { name: 'outside' },
          spec: {
            selector: { matchLabels: { app: 'outside' } },
            template: {
              metadata: { labels: { app: 'outside' } },
              spec: {
                containers: [
                  {
                    name: 'server',
                    image: 'node:24',
                    command: ['node', '/program/server.mjs'],
                    volumeMounts: [
                      { name: 'program', mountPath: '/program' },
                      { name: 'certs', mountPath: '/certs' },
                    ],
                    readinessProbe: { tcpSocket: { port: 8443 } },
                  },
                ],
                volumes: [
                  { name: 'program', configMap: { name: 'outside' } },
                  { name: 'certs', secret: { secretName: 'outside' } },
                ],
              },
            },
          },
        },
      ]),
      'legacy',
    );
    await lab().cluster.podsReady('legacy');
    const address = await lab().cluster.kubectl(
      ...['get', 'pod', '-n', 'legacy', '-l', 'app=outside', '-o', 'jsonpath={.items[0].status.podIP}'],
    );
    await lab().apply(`
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata:
  name: outside
spec:
  hosts: [${host}]
  addresses: [${nowhere}]
  ports:
    - {number: 80, name: http, protocol: HTTP, targetPort: 8443}
  location: MESH_EXTERNAL
  resolution: STATIC
  endpoints:
    - address: ${address.trim()}
`);
  });

  test('a sidecar shows the certificate of the Secret, and the next one when it is changed', async () => {
    proves(
      'DestinationRule.spec.trafficPolicy.tls.credentialName',
      'DestinationRule.spec.workloadSelector.matchLabels[]',
    );
    await lab().apply(list(readerOfSecrets('curl')));
    await lab().apply(rule('  workloadSelector:\n    matchLabels: {app: curl}\n'));
    const ask = () => lab().curl('foo', '--resolve', `${host}:80:${nowhere}`, `http://${host}/`);
    for (const { name, pair } of clients) {
      await lab().apply(list([credential(pair)]));
      await becomes(name, name, ask);
    }
    await lab().remove('foo', 'destinationrule/outside', 'secret/client-credential');
    await lab().remove('foo', 'role/reads-secrets', 'rolebinding/reads-secrets');
  });

  test('so does a gateway', async () => {
    proves('DestinationRule.spec.trafficPolicy.tls.credentialName');
    await lab().apply(rule(''), 'istio-system');
    await lab().apply(`${ingressAt('outside', host)}
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: outside
spec:
  hosts: [${host}]
  gateways: [outside]
  http:
    - route:
        - destination: {host: ${host}, port: {number: 80}}
`);
    const ask = () => lab().curlHere('-H', `Host: ${host}`, `http://${lab().ingress}/`);
    for (const { name, pair } of clients) {
      await lab().apply(list([credential(pair)]), 'istio-system');
      await becomes(name, name, ask);
    }
    await lab().remove('istio-system', 'destinationrule/outside', 'secret/client-credential');
    await lab().remove('foo', 'gateway/outside', 'virtualservice/outside', 'serviceentry/outside');
    await lab().remove('legacy', 'deployment/outside', 'configmap/outside', 'secret/outside');
  });
}
