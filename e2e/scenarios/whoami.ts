import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Cluster } from '../support/cluster.ts';
import { http } from '../support/http.ts';
import { eventually, until } from '../support/shell.ts';

const host = 'whoami.127.0.0.1.nip.io';
const folder = join(import.meta.dirname, '..', '..', 'samples', 'whoami');
const browser = 'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_10; rv:33.0) Gecko/20100101 Firefox/33.0';

/** The whoami tutorial: a gateway by host, nine to one, a timeout, and a match on the browser. */
export function whoami(cluster: () => Cluster): void {
  let address: Promise<string> | undefined;
  const gateway = () => {
    address ??= cluster().loadBalancer('istio-system', 'istio-ingressgateway');
    return address;
  };
  const who = async (path = '/', headers: Record<string, string> = {}) =>
    http(`http://${await gateway()}${path}`, { headers: { host, ...headers } });
  const version = (body: string) => /Hostname: whoami-(v\d)/.exec(body)?.[1];

  test('whoami answers by its host name', async () => {
    await cluster().kubectl('create', 'ns', 'whoami');
    await cluster().kubectl('label', 'ns', 'whoami', 'istio-injection=enabled');
    await cluster().apply(readFileSync(join(folder, 'whoami.yaml'), 'utf8'), 'whoami');
    await cluster().apply(readFileSync(join(folder, 'routing.yaml'), 'utf8'), 'whoami');
    const pods = await cluster().podsReady('whoami');
    assert.equal(pods.match(/2\/2/g)?.length, 2, pods);
    const answer = await until('whoami to answer', async () => {
      const found = await who();
      if (found.status !== 200 || !version(found.body))
        throw new Error(`status ${found.status} ${found.body.slice(0, 200)}`);
      return found;
    });
    assert.match(answer.body, /X-Envoy-|x-envoy-|X-Request-Id|x-request-id/i);
    const table = await cluster().kubectl('get', 'gw,vs,dr', '-n', 'whoami');
    assert.match(
      table,
      /virtualservice.networking.istio.io\/whoami\s+\["?addon-gateway"?\]\s+\["?whoami\.127\.0\.0\.1\.nip\.io"?\]/,
    );
  });

  test('nine of ten requests go to v1', async () => {
    await until('an answer of v2', async () => (version((await who()).body) === 'v2' ? true : undefined));
    let v2 = 0;
    // A tenth of 300 is 30, give or take 5.2; five times that is no longer chance.
    for (let n = 0; n < 300; n++) if (version((await who()).body) === 'v2') v2 += 1;
    assert.ok(v2 >= 4 && v2 <= 57, `${v2} of 300 went to v2`);
  });

  test('an answer that takes longer than the timeout is cut off', async () => {
    const answer = await who('/?wait=25s');
    assert.equal(answer.status, 504);
    assert.ok(answer.ms < 20_000, `${answer.ms} ms`);
  });

  test('a match on the user agent decides', async () => {
    await cluster().apply(
      `apiVersion: networking.istio.io/v1alpha3
kind: VirtualService
metadata:
  name: whoami
spec:
  hosts:
  - ${host}
  gateways:
  - addon-gateway
  http:
  - match:
    - headers:
        user-agent:
          exact: "${browser}"
    route:
    - destination:
        host: whoami
        subset: v2
  - route:
    - destination:
        host: whoami
        subset: v1
`,
      'whoami',
    );
    // The rules from before give v2 to one of ten: only answers in a row tell.
    await eventually('the match to be in force', async () => {
      for (let n = 0; n < 10; n++) {
        assert.equal(version((await who('/', { 'user-agent': browser })).body), 'v2');
        assert.equal(version((await who('/', { 'user-agent': 'curl/8' })).body), 'v1');
      }
    });
  });

  test('a host that no gateway knows gets 404', async () => {
    await cluster().tryKubectl('delete', 'gateway.networking.istio.io', '-n', 'istio-app', '--all');
    await until('the other gateway to go', async () =>
      (await http(`http://${await gateway()}/`, { headers: { host: 'elsewhere.example.com' } })).status === 404
        ? true
        : undefined,
    );
    await cluster().apply(
      readFileSync(join(folder, '..', 'online-boutique', 'istio-manifests.yaml'), 'utf8'),
      'istio-app',
    );
  });
}
