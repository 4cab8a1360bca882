import assert from 'node:assert/strict';
import { test } from 'node:test';
import { proves } from '@istio-ts/xds/field-proof';
import { eventually, until } from '../../support/shell.ts';
import { destinationRule, echo, istio, manifest, service, type World } from './world.ts';

const to = (host: string, subset?: string) => [{ destination: { host, ...(subset && { subset }) } }];

/** What VirtualServices do to requests inside of the mesh. */
export function routing(world: () => World): void {
  const call = (url: string, more: object = {}) => world().client.call({ url, ...more });
  const applied = async (objects: readonly object[], url: string, header = 'x-rule') => {
    await world().cluster.apply(manifest(objects), 'traffic');
    // Each of the proxy's threads takes the rules over for itself, so one connection that has them says nothing of the next.
    await eventually(`the rules of ${url}`, async () => {
      for (let turn = 0; turn < 6; turn++) assert.notEqual((await call(url)).headers[header], undefined);
    });
  };
  const marked = { response: { set: { 'x-rule': 'yes' } } };

  test('matches, rewrites, redirects, direct answers and header changes', async () => {
    proves(
      'VirtualService.spec.hosts[]',
      'VirtualService.spec.http[].match[].uri.exact',
      'VirtualService.spec.http[].match[].uri.prefix',
      'VirtualService.spec.http[].match[].uri.regex',
      'VirtualService.spec.http[].match[].headers[].exact',
      'VirtualService.spec.http[].match[].queryParams[].exact',
      'VirtualService.spec.http[].rewrite.uri',
      'VirtualService.spec.http[].rewrite.authority',
      'VirtualService.spec.http[].redirect.uri',
      'VirtualService.spec.http[].redirect.authority',
      'VirtualService.spec.http[].redirect.redirectCode',
      'VirtualService.spec.http[].directResponse.status',
      'VirtualService.spec.http[].directResponse.body.string',
      'VirtualService.spec.http[].headers.request.set[]',
      'VirtualService.spec.http[].headers.request.add[]',
      'VirtualService.spec.http[].headers.request.remove[]',
      'VirtualService.spec.http[].headers.response.set[]',
      'VirtualService.spec.http[].headers.response.add[]',
      'VirtualService.spec.http[].headers.response.remove[]',
      'VirtualService.spec.http[].route[].destination.host',
      'VirtualService.spec.http[].route[].destination.subset',
      'DestinationRule.spec.host',
      'DestinationRule.spec.subsets[].name',
      'DestinationRule.spec.subsets[].labels[]',
    );
    await applied(
      [
        service('routes'),
        destinationRule('routes'),
        istio('VirtualService', 'routes', {
          hosts: ['routes'],
          http: [
            { match: [{ uri: { exact: '/exact' } }], route: to('routes', 'v2') },
            { match: [{ uri: { prefix: '/old/' } }], rewrite: { uri: '/new/' }, route: to('routes', 'v1') },
            { match: [{ uri: { regex: '/item/[0-9]+' } }], route: to('routes', 'v2') },
            { match: [{ headers: { 'end-user': { exact: 'jason' } } }], route: to('routes', 'v2') },
            { match: [{ queryParams: { test: { exact: 'yes' } } }], route: to('routes', 'v2') },
            {
              match: [{ uri: { prefix: '/moved' } }],
              redirect: { uri: '/here', authority: 'other.test', redirectCode: 302 },
            },
            { match: [{ uri: { prefix: '/teapot' } }], directResponse: { status: 418, body: { string: 'short' } } },
            {
              match: [{ uri: { prefix: '/headers' } }],
              headers: {
                request: { set: { 'x-set': 'new' }, add: { 'x-added': 'more' }, remove: ['x-gone'] },
                response: { add: { 'x-answer': 'added' }, remove: ['x-version'] },
              },
              rewrite: { authority: 'renamed.test' },
              route: to('routes', 'v1'),
            },
            { headers: marked, route: to('routes', 'v1') },
          ],
        }),
      ],
      'http://routes:8080/',
    );
    const versionOf = async (path: string, headers = {}) =>
      echo(await call(`http://routes:8080${path}`, { headers })).version;
    // The clusters of the subsets may be ready a moment after the routes.
    await until('the other subset', async () => ((await versionOf('/exact')) === 'v2' ? true : undefined));
    assert.equal(await versionOf('/exact'), 'v2');
    assert.equal(await versionOf('/exactly'), 'v1');
    assert.equal(await versionOf('/item/12'), 'v2');
    assert.equal(await versionOf('/item/12/x'), 'v1');
    assert.equal(await versionOf('/', { 'end-user': 'jason' }), 'v2');
    assert.equal(await versionOf('/?test=yes'), 'v2');
    const rewritten = echo(await call('http://routes:8080/old/page?x=1'));
    assert.equal(rewritten.url, '/new/page?x=1');
    const moved = await call('http://routes:8080/moved/away');
    assert.deepEqual([moved.status, moved.headers.location], [302, 'http://other.test/here']);
    const direct = await call('http://routes:8080/teapot');
    assert.deepEqual([direct.status, direct.text], [418, 'short']);
    const changed = await call('http://routes:8080/headers', { headers: { 'x-gone': '1', 'x-set': 'old' } });
    const { headers } = echo(changed);
    assert.deepEqual(
      [headers['x-set'], headers['x-added'], headers['x-gone'], headers.host],
      ['new', 'more', undefined, 'renamed.test'],
    );
    assert.deepEqual([changed.headers['x-answer'], changed.headers['x-version']], ['added', undefined]);
  });

  test('faults and timeouts', async () => {
    proves(
      'VirtualService.spec.http[].fault.delay.fixedDelay',
      'VirtualService.spec.http[].fault.delay.percentage.value',
      'VirtualService.spec.http[].fault.abort.httpStatus',
      'VirtualService.spec.http[].fault.abort.percentage.value',
      'VirtualService.spec.http[].timeout',
    );
    await applied(
      [
        service('faults'),
        istio('VirtualService', 'faults', {
          hosts: ['faults'],
          http: [
            {
              match: [{ uri: { prefix: '/slow' } }],
              fault: { delay: { percentage: { value: 100 }, fixedDelay: '1.5s' } },
              route: to('faults'),
            },
            {
              match: [{ uri: { prefix: '/broken' } }],
              fault: { abort: { percentage: { value: 100 }, httpStatus: 555 } },
              route: to('faults'),
            },
            { match: [{ uri: { prefix: '/hasty' } }], timeout: '0.5s', route: to('faults') },
            { headers: marked, route: to('faults') },
          ],
        }),
      ],
      'http://faults:8080/',
    );
    const slow = await call('http://faults:8080/slow');
    assert.equal(slow.status, 200);
    assert.ok(slow.ms >= 1450, `${slow.ms} ms`);
    const broken = await call('http://faults:8080/broken');
    assert.deepEqual([broken.status, broken.text], [555, 'fault filter abort']);
    const hasty = await call('http://faults:8080/hasty?delay=5000');
    assert.deepEqual([hasty.status, hasty.text], [504, 'upstream request timeout']);
  });

  test('retries: as many attempts as asked for', async () => {
    proves('VirtualService.spec.http[].retries.attempts', 'VirtualService.spec.http[].retries.retryOn');
    await applied(
      [
        service('retries'),
        istio('VirtualService', 'retries', {
          hosts: ['retries'],
          http: [
            {
              match: [{ uri: { prefix: '/thrice' } }],
              retries: { attempts: 3, perTryTimeout: '2s', retryOn: '5xx' },
              route: to('retries'),
            },
            { match: [{ uri: { prefix: '/once' } }], retries: { attempts: 0 }, route: to('retries') },
            {
              match: [{ uri: { prefix: '/heal' } }],
              retries: { attempts: 3, retryOn: '503' },
              route: to('retries'),
            },
            { headers: marked, route: to('retries') },
          ],
        }),
        service('origin-v1', { app: 'origin', version: 'v1' }),
        service('origin-v2', { app: 'origin', version: 'v2' }),
      ],
      'http://retries:8080/',
    );
    const attempts = async (path: string) => {
      let sum = 0;
      for (const version of ['v1', 'v2']) {
        const seen = await until(`origin-${version} to be reachable`, async () => {
          const answer = await call(`http://origin-${version}:8080/seen?like=${encodeURIComponent(path)}`);
          return answer.status === 200 ? answer : undefined;
        });
        sum += (JSON.parse(seen.text) as readonly unknown[]).length;
      }
      return sum;
    };
    assert.equal((await call('http://retries:8080/thrice?status=503')).status, 503);
    assert.equal(await attempts('/thrice'), 4);
    assert.equal((await call('http://retries:8080/once?status=503')).status, 503);
    assert.equal(await attempts('/once'), 1);
    for (const seen of await world().client.calls({ url: 'http://retries:8080/heal?fail=v1', times: 20 }))
      assert.equal(seen.status, 200);
  });

  test('mirrored requests arrive under the same host', async () => {
    proves(
      'VirtualService.spec.http[].mirror.host',
      'VirtualService.spec.http[].mirror.subset',
      'VirtualService.spec.http[].mirrorPercentage.value',
    );
    await applied(
      [
        service('mirrored'),
        destinationRule('mirrored'),
        istio('VirtualService', 'mirrored', {
          hosts: ['mirrored'],
          http: [
            {
              headers: marked,
              route: to('mirrored', 'v1'),
              mirror: { host: 'mirrored', subset: 'v2' },
              mirrorPercentage: { value: 100 },
            },
          ],
        }),
      ],
      'http://mirrored:8080/',
    );
    const mirrored = async (path: string) => {
      const { text } = await call(`http://origin-v2:8080/seen?like=${path}`);
      return JSON.parse(text) as readonly { readonly host: string }[];
    };
    // What is mirrored before the cluster of the other subset is ready is lost.
    await until('the first mirrored request', async () => {
      await call('http://mirrored:8080/before');
      return (await mirrored('before')).length > 0 ? true : undefined;
    });
    for (const seen of await world().client.calls({ url: 'http://mirrored:8080/looked-at', times: 10 }))
      assert.equal(echo(seen).version, 'v1');
    const hosts = await until('the mirrored requests', async () => {
      const list = await mirrored('looked-at');
      return list.length === 10 ? list.map(({ host }) => host) : undefined;
    });
    assert.deepEqual([...new Set(hosts)], ['mirrored:8080']);
  });

  test('weights, and CORS', async () => {
    proves(
      'VirtualService.spec.http[].route[].weight',
      'VirtualService.spec.http[].corsPolicy.allowOrigins[].exact',
      'VirtualService.spec.http[].corsPolicy.allowMethods[]',
      'VirtualService.spec.http[].corsPolicy.allowHeaders[]',
      'VirtualService.spec.http[].corsPolicy.allowCredentials',
      'VirtualService.spec.http[].corsPolicy.maxAge',
    );
    await applied(
      [
        service('weighted'),
        destinationRule('weighted'),
        istio('VirtualService', 'weighted', {
          hosts: ['weighted'],
          http: [
            {
              headers: marked,
              corsPolicy: {
                allowOrigins: [{ exact: 'https://shop.test' }],
                allowMethods: ['GET', 'POST'],
                allowHeaders: ['x-own'],
                allowCredentials: true,
                maxAge: '24h',
              },
              route: [
                { destination: { host: 'weighted', subset: 'v1' }, weight: 80 },
                { destination: { host: 'weighted', subset: 'v2' }, weight: 20 },
              ],
            },
          ],
        }),
      ],
      'http://weighted:8080/',
    );
    await until('both subsets', async () => {
      const seen = await world().client.calls({ url: 'http://weighted:8080/', times: 40 });
      return new Set(seen.map((one) => echo(one).version)).size === 2 ? true : undefined;
    });
    const answers = await world().client.calls({ url: 'http://weighted:8080/', times: 400, parallel: 4 });
    const v2 = answers.filter((seen) => echo(seen).version === 'v2').length;
    assert.ok(v2 > 40 && v2 < 130, `${v2} of 400 went to v2`);
    const preflight = await call('http://weighted:8080/', {
      method: 'OPTIONS',
      headers: { origin: 'https://shop.test', 'access-control-request-method': 'POST' },
    });
    assert.deepEqual(
      [
        preflight.status,
        ...['origin', 'methods', 'headers', 'credentials'].map(
          (name) => preflight.headers[`access-control-allow-${name}`],
        ),
        preflight.headers['access-control-max-age'],
      ],
      [200, 'https://shop.test', 'GET,POST', 'x-own', 'true', '86400'],
    );
    const other = await call('http://weighted:8080/', { headers: { origin: 'https://evil.test' } });
    assert.equal(other.headers['access-control-allow-origin'], undefined);
  });
}
