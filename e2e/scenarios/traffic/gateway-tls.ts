import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { test } from 'node:test';
import { proves } from '@istio-ts/xds/field-proof';
import { certificateFor, secret } from '../../support/certificates.ts';
import { http } from '../../support/http.ts';
import { eventually, until } from '../../support/shell.ts';
import { https } from '../../support/tls.ts';
import { echo, istio, manifest, service, type World } from './world.ts';

const fingerprint = (certificate: string) => new X509Certificate(certificate).fingerprint256;

/** TLS at the ingress gateway, with certificates from Secrets. */
export function gatewayTls(world: () => World): void {
  let found: Promise<string> | undefined;
  const address = () => (found ??= world().cluster.loadBalancer('istio-system', 'istio-ingressgateway'));
  const get = async (host: string, options = {}) => https(await address(), 443, host, options);
  const one = certificateFor('one.example.test');
  const two = certificateFor('two.example.test');
  const authority = certificateFor('authority.example.test');
  const mutual = certificateFor('mutual.example.test', authority);
  const person = certificateFor('person.example.test', authority);

  test('servers of one port, each with the certificate of its Secret', async () => {
    proves(
      'Gateway.spec.servers[].port.number',
      'Gateway.spec.servers[].port.protocol',
      'Gateway.spec.servers[].hosts[]',
      'Gateway.spec.servers[].tls.mode',
      'Gateway.spec.servers[].tls.credentialName',
    );
    const { cluster } = world();
    await cluster.apply(
      manifest([
        secret('one', { 'tls.crt': one.certificate, 'tls.key': one.key }, 'kubernetes.io/tls'),
        secret('two', { cert: two.certificate, key: two.key }),
        secret('mutual', { 'tls.crt': mutual.certificate, 'tls.key': mutual.key, 'ca.crt': authority.certificate }),
      ]),
      'istio-system',
    );
    const tls = (credentialName: string, mode = 'SIMPLE') => ({ mode, credentialName });
    const server = (name: string, settings: object) => ({
      port: { number: 443, name, protocol: 'HTTPS' },
      hosts: [`${name}.example.test`],
      tls: settings,
    });
    await cluster.apply(
      manifest([
        service('behind-gateway'),
        istio('Gateway', 'first', {
          selector: { istio: 'ingressgateway' },
          servers: [
            server('one', tls('one')),
            server('mutual', tls('mutual', 'MUTUAL')),
            server('missing', tls('no-such-secret')),
            {
              port: { number: 80, name: 'redirect', protocol: 'HTTP' },
              hosts: ['one.example.test'],
              tls: { httpsRedirect: true },
            },
          ],
        }),
        istio('Gateway', 'second', {
          selector: { istio: 'ingressgateway' },
          servers: [
            server('two', tls('two')),
            { port: { number: 80, name: 'http', protocol: 'HTTP' }, hosts: ['two.example.test'] },
            {
              port: { number: 443, name: 'pass', protocol: 'TLS' },
              hosts: ['secure.example.test'],
              tls: { mode: 'PASSTHROUGH' },
            },
          ],
        }),
        istio('VirtualService', 'behind-gateway', {
          hosts: ['one.example.test', 'two.example.test', 'mutual.example.test', 'missing.example.test'],
          gateways: ['first', 'second'],
          http: [{ route: [{ destination: { host: 'behind-gateway', port: { number: 8080 } } }] }],
        }),
        istio('VirtualService', 'passed-through', {
          hosts: ['secure.example.test'],
          gateways: ['second'],
          tls: [
            {
              match: [{ port: 443, sniHosts: ['secure.example.test'] }],
              route: [{ destination: { host: 'external.outside.svc.cluster.local', port: { number: 8443 } } }],
            },
          ],
        }),
      ]),
      'traffic',
    );
    const answer = await until('HTTPS at the gateway', async () => {
      const seen = await get('one.example.test', { path: '/through' });
      if (seen.status !== 200) throw new Error(`status ${seen.status} ${seen.body}`);
      return seen;
    });
    assert.equal(answer.fingerprint, fingerprint(one.certificate));
    const request = JSON.parse(answer.body) as { readonly url: string; readonly headers: Record<string, string> };
    assert.equal(request.url, '/through');
    assert.equal(request.headers['x-forwarded-proto'], 'https');
    // Each server has a certificate and routes of its own, which arrive when they arrive.
    await eventually('the other server', async () => {
      const other = await get('two.example.test');
      assert.deepEqual([other.status, other.fingerprint], [200, fingerprint(two.certificate)]);
    });
  });

  test('plain HTTP is redirected where it is asked for', async () => {
    proves('Gateway.spec.servers[].tls.httpsRedirect');
    const url = `http://${await address()}/page?x=1`;
    await eventually('the redirect', async () => {
      const moved = await http(url, { headers: { host: 'one.example.test' } });
      assert.deepEqual([moved.status, moved.headers.location], [301, 'https://one.example.test/page?x=1']);
      assert.equal((await http(url, { headers: { host: 'two.example.test' } })).status, 200);
    });
  });

  test('MUTUAL admits certificates of its authority only', async () => {
    proves('Gateway.spec.servers[].tls.mode');
    await eventually('an admitted client', async () => {
      const admitted = await get('mutual.example.test', { cert: person.certificate, key: person.key });
      assert.deepEqual([admitted.status, admitted.fingerprint], [200, fingerprint(mutual.certificate)]);
    });
    await assert.rejects(get('mutual.example.test'));
    await assert.rejects(get('mutual.example.test', { cert: one.certificate, key: one.key }));
  });

  test('a server without its Secret answers nobody, until the Secret comes', async () => {
    await assert.rejects(get('missing.example.test'));
    await assert.rejects(get('unknown.example.test'));
    assert.equal((await get('one.example.test')).status, 200);
    const late = certificateFor('missing.example.test');
    await world().cluster.apply(
      manifest([secret('no-such-secret', { 'tls.crt': late.certificate, 'tls.key': late.key }, 'kubernetes.io/tls')]),
      'istio-system',
    );
    await eventually('the new Secret', async () => {
      const answer = await get('missing.example.test');
      assert.deepEqual([answer.status, answer.fingerprint], [200, fingerprint(late.certificate)]);
    });
  });

  test('a new certificate in the Secret is shown at once; one that is broken changes nothing', async () => {
    const renewed = certificateFor('one.example.test');
    const replace = (key: string) =>
      world().cluster.apply(
        manifest([secret('one', { 'tls.crt': renewed.certificate, 'tls.key': key }, 'kubernetes.io/tls')]),
        'istio-system',
      );
    await replace(two.key);
    assert.equal((await get('one.example.test')).status, 200);
    await replace(renewed.key);
    await until('the new certificate', async () =>
      (await get('one.example.test')).fingerprint === fingerprint(renewed.certificate) ? true : undefined,
    );
    assert.equal((await get('two.example.test')).fingerprint, fingerprint(two.certificate));
  });

  test('PASSTHROUGH leaves TLS to the origin', async () => {
    proves(
      'Gateway.spec.servers[].tls.mode',
      'VirtualService.spec.tls[].match[].sniHosts[]',
      'VirtualService.spec.tls[].match[].port',
      'VirtualService.spec.tls[].route[].destination',
    );
    const answer = await until('the origin', () => get('secure.example.test'));
    assert.equal(answer.fingerprint, fingerprint(world().outsideTls.certificate));
    assert.equal(echo({ status: 200, headers: {}, text: answer.body, bytes: 0, ms: 0 }).version, 'outside');
  });
}
