import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ProxyScope } from '@istio-ts/mesh/model';
import { provesAnnotations } from '../field-proof.ts';
import { config } from '../testing/scope.ts';
import { grpcAuthorizationFilters, httpAuthorizationFilters, networkAuthorizationFilters } from './authorization.ts';
import type { Authorizers } from './external-authorization.ts';
import { HTTP_FILTER_ORDER, httpFilters } from './order.ts';

type Policy = ProxyScope['authorizationPolicies'][number];
const policy = (name: string, spec: Partial<Policy['spec']>, more: Partial<Policy> = {}): Policy =>
  config('AuthorizationPolicy', name, { action: 'ALLOW', ...spec }, more);

const DOMAINS = ['cluster.local', 'old.domain'];
const context = (authorizers: Authorizers = new Map()) => ({ trustDomains: DOMAINS, authorizers });
type Rules = { readonly action: string; readonly policies: Readonly<Record<string, unknown>> };
const http = (...policies: readonly Policy[]) =>
  httpAuthorizationFilters(policies, context()).map((f) => ({ name: f.name, rules: f.typedConfig?.rules as Rules }));
const tcp = (...policies: readonly Policy[]) =>
  networkAuthorizationFilters(policies, context()).map((f) => ({ name: f.name, rules: f.typedConfig?.rules as Rules }));

test('CUSTOM, then AUDIT, DENY and ALLOW, whatever order the policies have', () => {
  const names = http(
    policy('a', { action: 'ALLOW', rules: [{}] }),
    policy('d', { action: 'DENY', rules: [{}] }),
    policy('c', { action: 'CUSTOM', rules: [{}] }),
    policy('audit', { action: 'AUDIT', rules: [{}] }),
  ).map((f) => f.name);
  assert.deepEqual(names, ['istio.rbac.custom', 'istio.rbac.audit', 'istio.rbac.deny', 'istio.rbac.allow']);
});

test('an ALLOW policy without rules admits nothing, one with an empty rule everything', () => {
  assert.deepEqual(http(policy('none', {}))[0]?.rules, { action: 'ALLOW', policies: {} });
  assert.deepEqual(http(policy('all', { rules: [{}] }))[0]?.rules.policies, {
    'ns[default]-policy[all]-rule[0]': { principals: [{ any: true }], permissions: [{ any: true }] },
  });
});

test('identities: trust domain aliases, namespaces and accounts with every literal escaped', () => {
  const rules = http(
    policy('p', {
      rules: [
        {
          from: [
            { source: { principals: ['cluster.local/ns/a/sa/b'], notNamespaces: ['x.y'] } },
            { source: { serviceAccounts: ['b', 'other/*'] } },
          ],
        },
      ],
    }),
  )[0]?.rules.policies['ns[default]-policy[p]-rule[0]'];
  const is = (principalName: object) => ({ authenticated: { principalName } });
  const regex = (text: string) => is({ safeRegex: { regex: text } });
  assert.deepEqual(rules, {
    principals: [
      {
        andIds: {
          ids: [
            {
              orIds: {
                ids: [
                  is({ exact: 'spiffe://cluster.local/ns/a/sa/b' }),
                  is({ exact: 'spiffe://old.domain/ns/a/sa/b' }),
                ],
              },
            },
            { notId: regex('spiffe://[^/]+/ns/x\\.y/.*') },
          ],
        },
      },
      { orIds: { ids: [regex('spiffe://[^/]+/ns/default/sa/b'), regex('spiffe://[^/]+/ns/other/sa/[^/]+')] } },
    ],
    permissions: [{ any: true }],
  });
});

test('HTTP properties on TCP: an ALLOW rule matches nothing, a DENY rule matches without them', () => {
  const spec = { rules: [{ to: [{ operation: { methods: ['GET'], ports: ['9000'] } }] }] };
  assert.deepEqual(tcp(policy('p', spec))[0]?.rules.policies, {});
  assert.deepEqual(tcp(policy('p', { ...spec, action: 'DENY' }))[0]?.rules.policies, {
    'ns[default]-policy[p]-rule[0]': { principals: [{ any: true }], permissions: [{ destinationPort: 9000 }] },
  });
});

const ANY = { principals: [{ any: true }], permissions: [{ any: true }] };
const ruleOf = (rules: Rules | undefined) => rules?.policies['ns[default]-policy[p]-rule[0]'];

test('what is no address grants nothing, and refuses whatever else the rule speaks of', () => {
  const spec = { rules: [{ from: [{ source: { ipBlocks: ['nonsense'] } }] }] };
  assert.equal(ruleOf(http(policy('p', spec))[0]?.rules), undefined);
  assert.deepEqual(ruleOf(http(policy('p', { ...spec, action: 'DENY' }))[0]?.rules), ANY);
  const negated = { rules: [{ from: [{ source: { notIpBlocks: ['nonsense'] } }] }] };
  assert.equal(ruleOf(http(policy('p', negated))[0]?.rules), undefined);
});

test('a condition without a meaning grants nothing, and is left out where a rule refuses', () => {
  const spec = { rules: [{ when: [{ key: 'request.moon', values: ['full'] }] }] };
  assert.equal(ruleOf(http(policy('p', spec))[0]?.rules), undefined);
  assert.deepEqual(ruleOf(http(policy('p', { ...spec, action: 'DENY' }))[0]?.rules), ANY);
});

test('a dry run enforces nothing: its rules stand beside those in force', () => {
  provesAnnotations('istio.io/dry-run');
  const tried = policy('p', { rules: [{}] }, { annotations: { 'istio.io/dry-run': 'True' } });
  const filters = (...policies: readonly Policy[]) =>
    httpAuthorizationFilters(policies, context()).map(({ typedConfig: { '@type': _type, ...rest } = {} }) => rest);
  const shadow = {
    shadowRules: { action: 'ALLOW', policies: { 'ns[default]-policy[p]-rule[0]': ANY } },
    shadowRulesStatPrefix: 'istio_dry_run_allow_',
  };
  assert.deepEqual(filters(tried), [shadow]);
  assert.deepEqual(filters(tried, policy('q', {})), [{ rules: { action: 'ALLOW', policies: {} }, ...shadow }]);
  const custom = policy('p', { action: 'CUSTOM', rules: [{}] }, { annotations: { 'istio.io/dry-run': 'true' } });
  assert.deepEqual(filters(custom), [
    { rules: { action: 'DENY', policies: { 'ns[default]-policy[p]-rule[0]': ANY } } },
  ]);
});

test('trust domains: cluster.local stands for the own one, and a suffix for all when it covers one', () => {
  const named = (principal: string, trustDomains: readonly string[]) => {
    const [filter] = httpAuthorizationFilters(
      [policy('p', { rules: [{ from: [{ source: { principals: [principal] } }] }] })],
      { trustDomains, authorizers: new Map() },
    );
    const text = JSON.stringify(ruleOf(filter?.typedConfig?.rules as Rules));
    return [...text.matchAll(/"(?:exact|suffix|prefix|regex)":"([^"]*)"/g)].map((found) => found[1]);
  };
  assert.deepEqual(named('cluster.local/ns/a/sa/b', ['new.td', 'old.td']), [
    'spiffe://new.td/ns/a/sa/b',
    'spiffe://old.td/ns/a/sa/b',
  ]);
  assert.deepEqual(named('old.td/ns/a/sa/b', ['new.td']), ['spiffe://old.td/ns/a/sa/b']);
  assert.deepEqual(named('*.td/ns/a/sa/b', ['new.td', 'local']), ['.td/ns/a/sa/b', 'spiffe://local/ns/a/sa/b']);
  assert.deepEqual(named('*/sa/b', ['new.td']), ['/sa/b']);
  assert.deepEqual(named('new.td/ns/a/*', ['new.td', 'local']), ['spiffe://new.td/ns/a/', 'spiffe://local/ns/a/']);
  assert.deepEqual(named('*', ['new.td']), ['.+']);
});

test('filters come in the order of the table, with the router last', () => {
  const names = httpFilters(httpAuthorizationFilters([policy('d', { action: 'DENY' })], context())).map(
    (f) => f.name ?? '',
  );
  const places = names.map((name) => HTTP_FILTER_ORDER.findIndex((place) => place.name === name));
  assert.deepEqual(
    places,
    [...places].sort((a, b) => a - b),
  );
  assert.equal(names.at(-1), 'envoy.filters.http.router');
  assert.ok(names.includes('istio.rbac.deny'));
});

test('gRPC servers without a proxy refuse what CUSTOM policies cover, and hear of no AUDIT and no dry run', () => {
  const filters = grpcAuthorizationFilters(
    [
      policy('c', { action: 'CUSTOM', provider: { name: 'opa' }, rules: [{}] }),
      policy('audit', { action: 'AUDIT', rules: [{}] }),
      policy('tried', { action: 'DENY', rules: [{}] }, { annotations: { 'istio.io/dry-run': 'true' } }),
    ],
    DOMAINS,
  );
  assert.deepEqual(
    filters.map(({ name, typedConfig }) => [name, typedConfig?.rules]),
    [['istio.rbac.custom', { action: 'DENY', policies: { 'ns[default]-policy[c]-rule[0]': ANY } }]],
  );
});
