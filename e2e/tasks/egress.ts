import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { proves } from '@istio-ts/xds/field-proof';
import { workload } from '../scenarios/traffic/world.ts';
import { certificateFor, readerOfSecrets, secret } from '../support/certificates.ts';
import { until } from '../support/shell.ts';
import type { Mesh } from './mesh.ts';

const name = 'www.outside.test';
/** Nobody is at this address: what reaches the origin under it went where a rule of the mesh says. */
const nowhere = '240.0.0.9';
const authority = certificateFor('outside.test');
const server = certificateFor(name, authority);
const client = certificateFor('client.outside.test', authority);

const list = (objects: readonly object[]) => JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects });

/**
 * Two servers that the mesh does not know, in a namespace without sidecars and without Services that it could learn of: one takes everybody, the other asks
 * clients for a certificate.
 */
export async function startOutside({ cluster }: Mesh): Promise<void> {
  await cluster.kubectl('create', 'namespace', 'outside');
  const origin = readFileSync(join(import.meta.dirname, '..', 'programs', 'origin.ts'), 'utf8');
  const tls = { 'tls.crt': server.certificate, 'tls.key': server.key };
  const strict = workload({ name: 'strict', app: 'strict', version: 'strict', program: 'origin', tls: true });
  await cluster.apply(
    list([
      { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'programs' }, data: { 'origin.ts': origin } },
      secret('origin-tls', tls),
      secret('strict-tls', { ...tls, 'ca.crt': authority.certificate }),
      ...workload({ name: 'open', app: 'open', version: 'open', program: 'origin', tls: true }),
      ...(JSON.parse(JSON.stringify(strict).replace('"origin-tls"', '"strict-tls"')) as object[]),
    ]),
    'outside',
  );
}

/** Egress: accessing external services, egress gateways, TLS origination. */
export function egress(mesh: () => Mesh): void {
  const address = async (app: string) =>
    (
      await mesh().cluster.kubectl(
        ...['get', 'pod', '-n', 'outside', '-l', `app=${app}`, '-o', 'jsonpath={.items[0].status.podIP}'],
      )
    ).trim();
  const status = (...args: readonly string[]) => mesh().curl('-o', '/dev/null', '-w', '%{http_code}', ...args);
  const becomes = (wanted: string, ...args: readonly string[]) =>
    until(`${wanted} of ${args.join(' ')}`, async () => {
      const seen = await status(...args);
      if (seen !== wanted) throw new Error(`it is ${seen}`);
      return seen;
    });
  const resolve = (port: number, to = nowhere) => ['--resolve', `${name}:${port}:${to}`];
  const get = ['-k', ...resolve(80), `http://${name}/`];
  const getTls = ['-k', ...resolve(443), `https://${name}/`];
  interface Echo {
    readonly version: string;
    readonly headers: Readonly<Record<string, string>>;
  }
  const answer = (what: string, args: readonly string[], holds: (echo: Echo) => boolean = () => true) =>
    until(what, async () => {
      const text = await mesh().curl(...args);
      if (!text.startsWith('{')) throw new Error(`the answer was: ${text}`);
      const echo = JSON.parse(text) as Echo;
      if (!holds(echo)) throw new Error(`the answer was: ${text}`);
      return echo;
    });
  const policy = (mode: string) =>
    mesh().cluster.istioctl(
      ...['install', '-y', '--set', 'profile=demo', '--set', `meshConfig.outboundTrafficPolicy.mode=${mode}`],
    );
  const entry = async (app: string, httpTarget = 8080) => `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata:
  name: outside
spec:
  hosts: [${name}]
  ports:
    - {number: 80, name: http, protocol: HTTP, targetPort: ${httpTarget}}
    - {number: 443, name: tls, protocol: TLS, targetPort: 8443}
  location: MESH_EXTERNAL
  resolution: STATIC
  endpoints:
    - address: ${await address(app)}
`;

  test('accessing external services: all with ALLOW_ANY, only registered ones with REGISTRY_ONLY', async () => {
    proves('MeshConfig.outboundTrafficPolicy.mode', 'ServiceEntry.spec.hosts[]', 'ServiceEntry.spec.location');
    await mesh().cluster.podsReady('outside');
    const direct = `http://${await address('open')}:8080/`;
    await becomes('200', direct);
    await policy('REGISTRY_ONLY');
    await becomes('502', direct);
    await becomes('000', ...getTls);
    await mesh().apply(await entry('open'));
    await becomes('200', ...get);
    await becomes('200', ...getTls);
    await becomes('502', direct);
  });

  test('accessing external services: rules for them', async () => {
    await mesh().apply(`
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: outside
spec:
  hosts: [${name}]
  http:
    - timeout: 0.3s
      route:
        - destination: {host: ${name}}
`);
    await becomes('504', ...resolve(80), `http://${name}/?delay=5000`);
    await mesh().remove('virtualservice/outside');
    await policy('ALLOW_ANY');
  });

  test('egress TLS origination: clear text from the application, TLS from its sidecar', async () => {
    proves(
      'DestinationRule.spec.trafficPolicy.portLevelSettings[].port.number',
      'DestinationRule.spec.trafficPolicy.portLevelSettings[].tls.mode',
      'DestinationRule.spec.trafficPolicy.tls.sni',
    );
    await mesh().apply(await entry('open', 8443));
    // Clear text where TLS is spoken.
    await becomes('503', ...get);
    await mesh().apply(`
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata:
  name: outside
spec:
  host: ${name}
  trafficPolicy:
    portLevelSettings:
      - port: {number: 80}
        tls: {mode: SIMPLE, sni: ${name}, insecureSkipVerify: true}
`);
    assert.equal((await answer('TLS by the sidecar', get)).version, 'open');
    await becomes('200', ...getTls);
  });

  test('egress TLS origination: a client certificate from a Secret', async () => {
    proves(
      'DestinationRule.spec.trafficPolicy.tls.credentialName',
      'DestinationRule.spec.workloadSelector.matchLabels[]',
    );
    const credential = {
      'tls.crt': client.certificate,
      'tls.key': client.key,
      'ca.crt': authority.certificate,
    };
    await mesh().apply(list([secret('client-credential', credential), ...readerOfSecrets('curl')]));
    await mesh().apply(await entry('strict', 8443));
    await mesh().apply(`
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata:
  name: outside
spec:
  host: ${name}
  workloadSelector:
    matchLabels: {app: curl}
  trafficPolicy:
    portLevelSettings:
      - port: {number: 80}
        tls: {mode: MUTUAL, sni: ${name}, credentialName: client-credential, subjectAltNames: [${name}]}
`);
    assert.equal((await answer('mutual TLS by the sidecar', get)).version, 'strict');
    await mesh().remove(
      'destinationrule/outside',
      'secret/client-credential',
      'role/reads-secrets',
      'rolebinding/reads-secrets',
    );
  });

  const throughGateway = (protocol: 'HTTP' | 'TLS') => {
    const port = protocol === 'HTTP' ? 80 : 443;
    const rule = (gateway: string, host: string, to: number) =>
      protocol === 'HTTP'
        ? `
    - match:
        - {gateways: [${gateway}], port: ${port}}
      ${gateway === 'mesh' ? '' : 'headers: {request: {set: {x-left-by: egress}}}'}
      route:
        - destination: {host: ${host}, port: {number: ${to}}}`
        : `
    - match:
        - {gateways: [${gateway}], port: ${port}, sniHosts: [${name}]}
      route:
        - destination: {host: ${host}, port: {number: ${to}}}`;
    return `
apiVersion: networking.istio.io/v1
kind: Gateway
metadata:
  name: outside
spec:
  selector: {istio: egressgateway}
  servers:
    - port: {number: ${port}, name: out, protocol: ${protocol}}
      hosts: [${name}]
      ${protocol === 'TLS' ? 'tls: {mode: PASSTHROUGH}' : ''}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: outside
spec:
  hosts: [${name}]
  gateways: [mesh, outside]
  ${protocol === 'HTTP' ? 'http' : 'tls'}:${rule('mesh', 'istio-egressgateway.istio-system.svc.cluster.local', port)}${rule('outside', name, port)}
`;
  };
  const gatewayLog = () =>
    mesh().cluster.kubectl('logs', '-n', 'istio-system', 'deploy/istio-egressgateway', '-c', 'istio-proxy');

  test('egress gateways: HTTP leaves through the gateway', async () => {
    await mesh().apply(await entry('open'));
    await mesh().apply(throughGateway('HTTP'));
    const echo = await answer('the egress gateway', get, ({ headers }) => headers['x-left-by'] === 'egress');
    assert.deepEqual([echo.version, echo.headers.host], ['open', name]);
    await until('the log of the gateway', async () => ((await gatewayLog()).includes(name) ? true : undefined));
  });

  test('egress gateways: the gateway originates TLS, with a client certificate', async () => {
    await mesh().cluster.apply(
      list([
        secret('client-credential', {
          'tls.crt': client.certificate,
          'tls.key': client.key,
          'ca.crt': authority.certificate,
        }),
      ]),
      'istio-system',
    );
    await mesh().apply(await entry('strict', 8443));
    await mesh().apply(
      `
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata:
  name: outside
  namespace: istio-system
spec:
  host: ${name}
  trafficPolicy:
    portLevelSettings:
      - port: {number: 80}
        tls: {mode: MUTUAL, sni: ${name}, credentialName: client-credential}
`,
      'istio-system',
    );
    const echo = await answer('TLS by the gateway', get, ({ version }) => version === 'strict');
    assert.equal(echo.headers['x-left-by'], 'egress');
    await mesh().cluster.kubectl('delete', '-n', 'istio-system', 'destinationrule/outside', 'secret/client-credential');
  });

  test('egress gateways: TLS passes through the gateway as it is', async () => {
    proves('VirtualService.spec.tls[].match[].sniHosts[]');
    await mesh().remove('virtualservice/outside', 'gateway/outside');
    await mesh().apply(await entry('open'));
    await mesh().apply(throughGateway('TLS'));
    // The log of the gateway names the server that the client asked for by SNI.
    await until('TLS through the gateway', async () => {
      const seen = await status(...getTls);
      if (seen !== '200') throw new Error(`the status is ${seen}`);
      const lines = (await gatewayLog()).split('\n').filter((line) => line.includes(name) && line.includes('443'));
      return lines.length > 0 ? true : undefined;
    });
    await mesh().remove('virtualservice/outside', 'gateway/outside', 'serviceentry/outside');
  });
}
