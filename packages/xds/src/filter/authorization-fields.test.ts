import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { proves } from '../field-proof.ts';
import { freePort } from '../testing/envoy.ts';
import { istioObject } from '../testing/objects.ts';
import { LoopbackNet } from '../testing/offline-envoy.ts';
import { type Origin, startOrigin } from '../testing/origin.ts';
import { type PolicyCall, startWorkloads, type Workload, type Workloads } from '../testing/workloads-envoy.ts';

/** Who may do what, as clients of a real Envoy see it: every source, operation and condition, for requests and for connections. */

const net = new LoopbackNet();
const NEAR = net.ip(1);
const FAR = net.ip(2);
const CALLER = 'cluster.local/ns/shop/sa/caller';

type Spec = Readonly<Record<string, unknown>>;
const from = (...sources: readonly Spec[]): Spec => ({ rules: [{ from: sources.map((source) => ({ source })) }] });
const to = (...operations: readonly Spec[]): Spec => ({
  rules: [{ to: operations.map((operation) => ({ operation })) }],
});
const when = (key: string, rest: Spec): Spec => ({ rules: [{ when: [{ key, ...rest }] }] });
const deny = (spec: Spec): Spec => ({ action: 'DENY', ...spec });
const http = (name: string, ...policies: readonly Spec[]): Workload => ({ name, policies });
const tcp = (name: string, ...policies: readonly Spec[]): Workload => ({ name, policies, protocol: 'TCP' });

/** Metadata that a filter before the policies takes from a header. */
const tagged = (name: string): Workload => ({
  ...http(name, when('experimental.envoy.filters.http.header_to_metadata[tier]', { values: ['gold*', '[listed]'] })),
  objects: [
    istioObject(
      'EnvoyFilter',
      { name },
      {
        workloadSelector: { labels: { app: name } },
        configPatches: [
          {
            applyTo: 'HTTP_FILTER',
            match: {
              context: 'SIDECAR_INBOUND',
              listener: { filterChain: { filter: { name: 'envoy.filters.network.http_connection_manager' } } },
            },
            patch: {
              operation: 'INSERT_FIRST',
              value: {
                name: 'envoy.filters.http.header_to_metadata',
                typed_config: {
                  '@type': 'type.googleapis.com/envoy.extensions.filters.http.header_to_metadata.v3.Config',
                  request_rules: [
                    {
                      header: 'x-tier',
                      on_header_present: {
                        metadata_namespace: 'envoy.filters.http.header_to_metadata',
                        key: 'tier',
                        type: 'STRING',
                      },
                    },
                  ],
                },
              },
            },
          },
        ],
      },
    ),
  ],
});

const workloads: readonly Workload[] = [
  http('principals', from({ principals: [CALLER, 'cluster.local/ns/pre*', '*/sa/suf', 'old.td/ns/a/sa/own'] })),
  http('any-principal', from({ principals: ['*'] })),
  http('not-principals', from({ notPrincipals: [CALLER] })),
  http('namespaces', from({ namespaces: ['shop', 'team-*', '*-end'] })),
  http('not-namespaces', deny(from({ notNamespaces: ['shop'] }))),
  http('accounts', from({ serviceAccounts: ['own', 'shop/caller'] })),
  http('not-accounts', deny(from({ notServiceAccounts: ['shop/caller'] }))),
  http('domains', from({ trustDomains: ['friend.td', '*.good'] })),
  http('not-domains', from({ notTrustDomains: ['friend.td'] })),
  http('addresses', from({ ipBlocks: [`${NEAR}/32`] })),
  http('not-addresses', from({ notIpBlocks: [NEAR] })),
  http('remote', from({ remoteIpBlocks: ['203.0.113.0/24'] })),
  http('not-remote', from({ notRemoteIpBlocks: ['203.0.113.0/24'] })),
  http('both', from({ principals: [CALLER], ipBlocks: [NEAR] })),
  http('hosts', to({ hosts: ['one.example', 'pre.*', '*.end.example'] })),
  http('any-host', to({ hosts: ['*'] })),
  http('not-hosts', to({ notHosts: ['one.example'] })),
  http('deny-hosts', deny(to({ hosts: ['one.example', '*.end.example'] }))),
  http('deny-not-hosts', deny(to({ notHosts: ['one.example'] }))),
  http('methods', to({ methods: ['GET', 'P*'] })),
  http('not-methods', to({ notMethods: ['DELETE'] })),
  http('paths', to({ paths: ['/exact', '/pre*', '*/end', '/a.b', '/r/{*}/x', '/deep/{**}', '/mid/{**}/tail'] })),
  http('not-paths', to({ notPaths: ['/secret*', '/t/{*}'] })),
  http('ports', to({ ports: ['9999'] })),
  http('not-ports', to({ notPorts: ['9999'] })),
  http('two-rules', {
    rules: [...(to({ paths: ['/a'] }).rules as Spec[]), ...(to({ paths: ['/b'] }).rules as Spec[])],
  }),
  http('two-operations', to({ paths: ['/a'] }, { methods: ['PUT'] })),
  http('header', when('request.headers[X-Team]', { values: ['red', 'bl*', '*een'] })),
  http('header-present', when('request.headers[x-team]', { values: ['*'] })),
  http('not-header', when('request.headers[x-team]', { notValues: ['red'] })),
  http('when-ip', when('source.ip', { values: [`${NEAR}/32`], notValues: [FAR] })),
  http('when-remote', when('remote.ip', { values: ['203.0.113.7'] })),
  http('when-namespace', when('source.namespace', { values: ['shop'] })),
  http('when-principal', when('source.principal', { values: ['*/sa/caller'] })),
  http('when-account', when('source.serviceAccount', { values: ['shop/caller'] })),
  http('when-domain', when('source.trustDomain', { values: ['friend.td'] })),
  http('when-destination', when('destination.ip', { values: [`${NEAR}/24`] })),
  http('when-elsewhere', when('destination.ip', { values: ['192.0.2.1'] })),
  http('when-port', when('destination.port', { values: ['9999'] })),
  http('when-sni', when('connection.sni', { values: ['inner.example', '*.suffix.example'] })),
  tagged('metadata'),
  http('none', {}),
  http('all', { rules: [{}] }),
  http('deny-all', deny({ rules: [{}] })),
  http('deny-wins', to({ paths: ['/a*'] }), deny(to({ paths: ['/ab'] }))),
  tcp('bytes', from({ principals: [CALLER] })),
  tcp('bytes-namespace', from({ namespaces: ['shop'] })),
  tcp('bytes-address', deny(from({ ipBlocks: [NEAR] }))),
  tcp('bytes-sni', when('connection.sni', { values: ['inner.example'] })),
  tcp('bytes-http-allow', to({ methods: ['GET'] })),
  tcp(
    'bytes-http-deny',
    deny({ rules: [{ from: [{ source: { ipBlocks: [NEAR] } }], to: [{ operation: { methods: ['GET'] } }] }] }),
  ),
  tcp('bytes-token', {
    rules: [...(from({ requestPrincipals: ['*'] }).rules as Spec[]), ...(from({ ipBlocks: [FAR] }).rules as Spec[])],
  }),
  tcp('bytes-none', {}),
];

let app: Origin;
let envoy: Workloads;

before(async () => {
  app = await startOrigin('app', '127.0.0.1', await freePort());
  envoy = await startWorkloads({
    net,
    workloads,
    app: app.port,
    meshConfig: { trustDomainAliases: ['old.td', 'friend.td', 'very.good'] },
  });
});

after(async () => {
  await envoy?.stop();
  await app?.close();
});

const status = async (name: string, call: PolicyCall = {}): Promise<number> => (await envoy.ask(name, call)).status;

/** Checks what a workload answers to each call. */
async function answers(name: string, ...expected: readonly (readonly [PolicyCall, number])[]): Promise<void> {
  const seen = await Promise.all(expected.map(async ([call]) => [call, await status(name, call)]));
  assert.deepEqual(seen, expected, name);
}
const as = (identity: string): PolicyCall => ({ as: identity });
const path = (text: string): PolicyCall => ({ path: text });

test('identities of peers: exact, by prefix, by suffix, any, and all but one', async () => {
  proves(
    'AuthorizationPolicy.spec.rules[].from[].source.principals[]',
    'AuthorizationPolicy.spec.rules[].from[].source.notPrincipals[]',
    'AuthorizationPolicy.spec.selector.matchLabels[]',
    'AuthorizationPolicy.spec.action',
    'MeshConfig.trustDomainAliases[]',
  );
  await answers(
    'principals',
    [as(CALLER), 200],
    [as('cluster.local/ns/prefix/sa/x'), 200],
    [as('friend.td/ns/x/sa/suf'), 200],
    // An alias of the mesh's trust domain is that trust domain, in both directions.
    [as('old.td/ns/shop/sa/caller'), 200],
    [as('cluster.local/ns/a/sa/own'), 200],
    [as('old.td/ns/prefix/sa/x'), 200],
    [as('friend.td/ns/shop/sa/other'), 403],
    [as('cluster.local/ns/shop/sa/caller2'), 403],
    [as('cluster.local/ns/shop/sa/Caller'), 403],
    [{}, 403],
  );
  // Identities of other trust domains do not get as far as the policies.
  await assert.rejects(envoy.ask('principals', as('other.td/ns/shop/sa/caller')), /certificate/);
  await answers('any-principal', [as('friend.td/ns/a/sa/b'), 200], [{}, 403], [{ from: net.ip(9) }, 403]);
  await answers(
    'not-principals',
    [as(CALLER), 403],
    [as('old.td/ns/shop/sa/caller'), 403],
    [as('old.td/ns/a/sa/b'), 200],
    [{}, 200],
  );
});

test('namespaces, service accounts and trust domains of peers', async () => {
  proves(
    'AuthorizationPolicy.spec.rules[].from[].source.namespaces[]',
    'AuthorizationPolicy.spec.rules[].from[].source.notNamespaces[]',
    'AuthorizationPolicy.spec.rules[].from[].source.serviceAccounts[]',
    'AuthorizationPolicy.spec.rules[].from[].source.notServiceAccounts[]',
    'AuthorizationPolicy.spec.rules[].from[].source.trustDomains[]',
    'AuthorizationPolicy.spec.rules[].from[].source.notTrustDomains[]',
  );
  const ns = (name: string): PolicyCall => as(`cluster.local/ns/${name}/sa/x`);
  await answers(
    'namespaces',
    [ns('shop'), 200],
    [ns('team-1'), 200],
    [ns('the-end'), 200],
    [ns('shop2'), 403],
    [ns('ashop'), 403],
    [ns('team'), 403],
    // The name of an account is no namespace.
    [as('cluster.local/ns/x/sa/shop'), 403],
    [{}, 403],
  );
  await answers('not-namespaces', [ns('shop'), 200], [ns('other'), 403], [{}, 403]);
  await answers(
    'accounts',
    [as('cluster.local/ns/default/sa/own'), 200],
    [as(CALLER), 200],
    [as('cluster.local/ns/other/sa/own'), 403],
    [as('cluster.local/ns/shop/sa/caller/x'), 403],
    [{}, 403],
  );
  await answers('not-accounts', [as(CALLER), 200], [ns('shop'), 403], [{}, 403]);
  await answers(
    'domains',
    [as('friend.td/ns/a/sa/b'), 200],
    [as('very.good/ns/a/sa/b'), 200],
    [as('old.td/ns/a/sa/b'), 403],
    [as(CALLER), 403],
    [{}, 403],
  );
  await answers('not-domains', [as('friend.td/ns/a/sa/b'), 403], [as(CALLER), 200]);
});

test('addresses of peers and of clients behind proxies', async () => {
  proves(
    'AuthorizationPolicy.spec.rules[].from[].source.ipBlocks[]',
    'AuthorizationPolicy.spec.rules[].from[].source.notIpBlocks[]',
    'AuthorizationPolicy.spec.rules[].from[].source.remoteIpBlocks[]',
    'AuthorizationPolicy.spec.rules[].from[].source.notRemoteIpBlocks[]',
  );
  const forwarded = (text: string): PolicyCall => ({ headers: { 'x-forwarded-for': text } });
  await answers('addresses', [{ from: NEAR }, 200], [{ from: FAR }, 403], [{ from: FAR, ...forwarded(NEAR) }, 403]);
  await answers('not-addresses', [{ from: NEAR }, 403], [{ from: FAR }, 200]);
  await answers(
    'remote',
    [forwarded('203.0.113.9'), 200],
    [forwarded('198.51.100.1'), 403],
    // What stands before the last proxy's word is the client's own.
    [forwarded('203.0.113.9, 198.51.100.1'), 403],
    [{}, 403],
  );
  await answers('not-remote', [forwarded('203.0.113.9'), 403], [forwarded('198.51.100.1'), 200]);
  await answers(
    'both',
    [{ ...as(CALLER), from: NEAR }, 200],
    [{ ...as(CALLER), from: FAR }, 403],
    [{ from: NEAR }, 403],
  );
});

test('hosts, without regard to case', async () => {
  proves(
    'AuthorizationPolicy.spec.rules[].to[].operation.hosts[]',
    'AuthorizationPolicy.spec.rules[].to[].operation.notHosts[]',
  );
  const host = (text: string): PolicyCall => ({ host: text });
  await answers(
    'hosts',
    [host('one.example'), 200],
    [host('ONE.Example'), 200],
    [host('pre.anything:81'), 200],
    [host('x.END.example'), 200],
    // What is admitted must be written as in the policy (Security best practices): with a port there, with a dot there.
    [host('one.example:80'), 403],
    [host('one.example.'), 403],
    [host('oneXexample'), 403],
    [host('two.example'), 403],
  );
  await answers('any-host', [host('x'), 200]);
  await answers('not-hosts', [host('one.example'), 403], [host('One.Example:8080'), 403], [host('two.example'), 200]);
  await answers(
    'deny-hosts',
    [host('one.example'), 403],
    [host('oNe.example'), 403],
    [host('one.example:443'), 403],
    [host('one.example.'), 403],
    [host('one.example.:80'), 403],
    [host('a.end.example:1'), 403],
    [host('two.example'), 200],
    [host('one.example.com'), 200],
  );
  await answers('deny-not-hosts', [host('one.example'), 200], [host('one.example:80'), 403], [host('b'), 403]);
});

test('methods and paths, also by templates', async () => {
  proves(
    'AuthorizationPolicy.spec.rules[].to[].operation.methods[]',
    'AuthorizationPolicy.spec.rules[].to[].operation.notMethods[]',
    'AuthorizationPolicy.spec.rules[].to[].operation.paths[]',
    'AuthorizationPolicy.spec.rules[].to[].operation.notPaths[]',
  );
  const method = (text: string): PolicyCall => ({ method: text });
  await answers('methods', [method('GET'), 200], [method('PUT'), 200], [method('POST'), 200], [method('DELETE'), 403]);
  await answers('not-methods', [method('GET'), 200], [method('DELETE'), 403]);
  await answers(
    'paths',
    [path('/exact'), 200],
    [path('/exact?with=query'), 200],
    [path('/exact/'), 403],
    [path('/prefix/any'), 200],
    [path('/any/end'), 200],
    [path('/a.b'), 200],
    [path('/aXb'), 403],
    [path('/r/one/x'), 200],
    [path('/r/one/two/x'), 403],
    [path('/r/one/x?q'), 200],
    [path('/deep/a/b/c'), 200],
    [path('/mid/a/b/tail'), 200],
    [path('/mid/a/b/other'), 403],
    [path('/other?/exact'), 403],
    [path('/Exact'), 403],
  );
  await answers(
    'not-paths',
    [path('/open'), 200],
    [path('/secret/x'), 403],
    [path('/t/x'), 403],
    [path('/t/x/y'), 200],
  );
});

test('ports, several rules and several operations', async () => {
  proves(
    'AuthorizationPolicy.spec.rules[].to[].operation.ports[]',
    'AuthorizationPolicy.spec.rules[].to[].operation.notPorts[]',
  );
  await answers('ports', [{}, 403]);
  await answers('not-ports', [{}, 200]);
  await answers('two-rules', [path('/a'), 200], [path('/b'), 200], [path('/c'), 403]);
  await answers('two-operations', [path('/a'), 200], [{ path: '/x', method: 'PUT' }, 200], [path('/x'), 403]);
});

test('conditions on headers, with their names in any case', async () => {
  proves(
    'AuthorizationPolicy.spec.rules[].when[].key=request.headers',
    'AuthorizationPolicy.spec.rules[].when[].key',
    'AuthorizationPolicy.spec.rules[].when[].values[]',
    'AuthorizationPolicy.spec.rules[].when[].notValues[]',
  );
  const team = (value: string): PolicyCall => ({ headers: { 'x-team': value } });
  await answers('header', [team('red'), 200], [team('blue'), 200], [team('green'), 200], [team('RED'), 403], [{}, 403]);
  await answers('header-present', [team('any'), 200], [team(''), 403], [{}, 403]);
  await answers('not-header', [team('red'), 403], [team('blue'), 200], [{}, 200]);
});

test('conditions on addresses, identities, server names and metadata of filters', async () => {
  proves(
    'AuthorizationPolicy.spec.rules[].when[].key',
    'AuthorizationPolicy.spec.rules[].when[].key=source.ip',
    'AuthorizationPolicy.spec.rules[].when[].key=remote.ip',
    'AuthorizationPolicy.spec.rules[].when[].key=source.namespace',
    'AuthorizationPolicy.spec.rules[].when[].key=source.principal',
    'AuthorizationPolicy.spec.rules[].when[].key=source.serviceAccount',
    'AuthorizationPolicy.spec.rules[].when[].key=source.trustDomain',
    'AuthorizationPolicy.spec.rules[].when[].key=destination.ip',
    'AuthorizationPolicy.spec.rules[].when[].key=destination.port',
    'AuthorizationPolicy.spec.rules[].when[].key=connection.sni',
    'AuthorizationPolicy.spec.rules[].when[].key=experimental.envoy.filters',
  );
  await answers('when-ip', [{ from: NEAR }, 200], [{ from: FAR }, 403]);
  await answers('when-remote', [{ headers: { 'x-forwarded-for': '203.0.113.7' } }, 200], [{}, 403]);
  await answers('when-namespace', [as(CALLER), 200], [as('cluster.local/ns/x/sa/caller'), 403], [{}, 403]);
  await answers('when-principal', [as(CALLER), 200], [as('cluster.local/ns/x/sa/y'), 403], [{}, 403]);
  await answers('when-account', [as(CALLER), 200], [as('cluster.local/ns/x/sa/caller'), 403], [{}, 403]);
  await answers('when-domain', [as('friend.td/ns/a/sa/b'), 200], [as(CALLER), 403], [{}, 403]);
  await answers('when-destination', [{}, 200]);
  await answers('when-elsewhere', [{}, 403]);
  await answers('when-port', [{}, 403]);
  await answers(
    'when-sni',
    [{ as: CALLER, sni: 'inner.example' }, 200],
    [{ as: CALLER, sni: 'a.suffix.example' }, 200],
    [{ as: CALLER, sni: 'other.example' }, 403],
    [{}, 403],
  );
  await answers(
    'metadata',
    [{ headers: { 'x-tier': 'golden' } }, 200],
    [{ headers: { 'x-tier': 'tin' } }, 403],
    [{}, 403],
  );
});

test('policies without rules and with an empty one; DENY wins', async () => {
  proves('AuthorizationPolicy.spec.action');
  await answers('none', [{}, 403]);
  await answers('all', [{}, 200]);
  await answers('deny-all', [{}, 403]);
  await answers('deny-wins', [path('/a'), 200], [path('/ab'), 403], [path('/b'), 403]);
  const refused = await envoy.ask('none');
  assert.equal(refused.text, 'RBAC: access denied');
});

test('connections: identities, addresses and server names count; what only requests have grants nothing and limits no refusal', async () => {
  proves(
    'AuthorizationPolicy.spec.rules[].from[].source.principals[]',
    'AuthorizationPolicy.spec.rules[].from[].source.namespaces[]',
    'AuthorizationPolicy.spec.rules[].from[].source.ipBlocks[]',
  );
  const passes = async (name: string, call: PolicyCall = {}): Promise<boolean> =>
    (await envoy.exchange(name, 'hello', call)).startsWith('app#');
  const other = as('cluster.local/ns/other/sa/x');
  assert.deepEqual(
    [await passes('bytes', as(CALLER)), await passes('bytes', other), await passes('bytes')],
    [true, false, false],
  );
  assert.deepEqual(
    [await passes('bytes-namespace', as(CALLER)), await passes('bytes-namespace', other)],
    [true, false],
  );
  assert.deepEqual(
    [await passes('bytes-address', { from: FAR }), await passes('bytes-address', { from: NEAR })],
    [true, false],
  );
  assert.deepEqual(
    [
      await passes('bytes-sni', { as: CALLER, sni: 'inner.example' }),
      await passes('bytes-sni', { as: CALLER, sni: 'x.example' }),
    ],
    [true, false],
  );
  assert.equal(await passes('bytes-http-allow'), false);
  assert.deepEqual(
    [await passes('bytes-http-deny', { from: NEAR }), await passes('bytes-http-deny', { from: FAR })],
    [false, true],
  );
  assert.deepEqual(
    [await passes('bytes-token', { from: FAR }), await passes('bytes-token', { from: NEAR })],
    [true, false],
  );
  assert.equal(await passes('bytes-none'), false);
});
