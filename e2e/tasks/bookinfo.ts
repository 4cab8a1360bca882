import assert from 'node:assert/strict';
import { test } from 'node:test';
import { proves } from '@istio-ts/xds/field-proof';
import { http, postForm } from '../support/http.ts';
import { eventually } from '../support/shell.ts';
import { type Mesh, settled, tally } from './mesh.ts';

const networking = (name: string) => `bookinfo/networking/${name}.yaml`;
const unavailable = /product reviews are currently unavailable/;

/** Which version of reviews a page shows, by its stars. */
function reviewsIn(page: string): string {
  if (unavailable.test(page)) return 'none';
  if (!/Reviewer1/.test(page)) return `no page: ${page.slice(0, 200)}`;
  if (/Ratings service is currently unavailable/.test(page)) return 'no ratings';
  return /red stars"/.test(page) ? 'v3' : /black stars"/.test(page) ? 'v2' : 'v1';
}

/** Tasks that are done with Bookinfo: request routing, fault injection, traffic shifting, request timeouts. */
export function bookinfo(mesh: () => Mesh): void {
  const url = () => `http://${mesh().ingress}/productpage`;
  const page = async (cookie?: string) => (await http(url(), cookie ? { headers: { cookie } } : {})).body;
  let session = '';
  const jason = () => page(session);

  test('Bookinfo answers inside the mesh', async () => {
    await eventually('the product page', async () => {
      const { stdout } = await mesh().exec('ratings-v1', 'ratings', 'curl', '-sS', 'productpage:9080/productpage');
      assert.match(stdout, /<title>Simple Bookstore App<\/title>/);
    });
  });

  test('Bookinfo answers at the ingress gateway, and its three versions take turns', async () => {
    proves(
      'Gateway.spec.selector[]',
      'Gateway.spec.servers[].hosts[]',
      'VirtualService.spec.gateways[]',
      'VirtualService.spec.http[].match[].uri.exact',
      'VirtualService.spec.http[].match[].uri.prefix',
    );
    await mesh().applySamples(networking('bookinfo-gateway'), networking('destination-rule-all'));
    await settled(
      'the product page',
      () => page(),
      (body) => /<title>Simple Bookstore App/.test(body),
      1,
    );
    await eventually('all versions of reviews', async () => {
      const seen = await tally(9, page, reviewsIn);
      assert.deepEqual([...seen.keys()].sort(), ['v1', 'v2', 'v3']);
    });
    assert.equal((await http(`http://${mesh().ingress}/elsewhere`)).status, 404);
  });

  test('request routing: everybody to v1', async () => {
    proves('VirtualService.spec.http[].route[].destination.subset', 'DestinationRule.spec.subsets[].labels[]');
    await mesh().applySamples(networking('virtual-service-all-v1'));
    await settled('v1 of reviews', page, (body) => reviewsIn(body) === 'v1');
  });

  test('request routing: the user jason to v2', async () => {
    proves('VirtualService.spec.http[].match[].headers[].exact');
    const login = await postForm(`http://${mesh().ingress}/login`, { username: 'jason', passwd: '' });
    assert.equal(login.status, 302);
    session = String(login.headers['set-cookie']).split(';')[0] ?? '';
    await mesh().applySamples(networking('virtual-service-reviews-test-v2'));
    await settled('v2 of reviews for jason', jason, (body) => reviewsIn(body) === 'v2');
    assert.match(await jason(), /Signed in as <strong>jason/);
    await settled('v1 of reviews for others', page, (body) => reviewsIn(body) === 'v1');
  });

  test('fault injection: a delay for jason that is longer than the product page waits', async () => {
    proves(
      'VirtualService.spec.http[].fault.delay.fixedDelay',
      'VirtualService.spec.http[].fault.delay.percentage.value',
    );
    await mesh().applySamples(networking('virtual-service-ratings-test-delay'));
    await settled('reviews to be missing for jason', jason, (body) => reviewsIn(body) === 'none', 1);
    await settled('v1 of reviews for others', page, (body) => reviewsIn(body) === 'v1', 3);
  });

  test('fault injection: an abort for jason', async () => {
    proves(
      'VirtualService.spec.http[].fault.abort.httpStatus',
      'VirtualService.spec.http[].fault.abort.percentage.value',
    );
    await mesh().applySamples(networking('virtual-service-ratings-test-abort'));
    await settled('ratings to fail for jason', jason, (body) => reviewsIn(body) === 'no ratings');
    await settled('v1 of reviews for others', page, (body) => reviewsIn(body) === 'v1', 3);
  });

  test('traffic shifting: half to v3, then all', async () => {
    proves('VirtualService.spec.http[].route[].weight');
    await mesh().applySamples(networking('virtual-service-all-v1'), networking('virtual-service-reviews-50-v3'));
    // By chance one of the two gets less than 5 of 20 once in 85 times: only that both are there and nothing else is checked.
    await eventually('both versions', async () => {
      const seen = await tally(20, page, reviewsIn);
      assert.deepEqual([...seen.keys()].sort(), ['v1', 'v3']);
    });
    await mesh().applySamples(networking('virtual-service-reviews-v3'));
    await settled('v3 alone', page, (body) => reviewsIn(body) === 'v3', 10);
  });

  test('request timeouts: half a second for reviews, two for ratings', async () => {
    proves('VirtualService.spec.http[].timeout');
    const rule = (name: string, settings: string, subset: string) => `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: ${name}
spec:
  hosts: [${name}]
  http:
    - ${settings}
      route:
        - destination: {host: ${name}, subset: ${subset}}
`;
    await mesh().apply(rule('reviews', 'name: patient', 'v2'));
    await mesh().apply(rule('ratings', 'fault: {delay: {percentage: {value: 100}, fixedDelay: 2s}}', 'v1'));
    // Without a timeout the page is there after two seconds, with stars.
    await settled('v2 of reviews', page, (body) => reviewsIn(body) === 'v2', 1);
    await mesh().apply(rule('reviews', 'timeout: 0.5s', 'v2'));
    await settled('reviews to be missing', page, (body) => reviewsIn(body) === 'none', 1);
    await mesh().deleteSamples(networking('virtual-service-all-v1'));
  });
}
