import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ProxyScope } from '@istio-ts/mesh/model';
import { provesAnnotations } from '../field-proof.ts';
import { config } from '../testing/scope.ts';
import { httpRbacFilters, networkRbacFilters } from './authorization.ts';
import { HTTP_FILTER_ORDER, httpFilters } from './order.ts';

type Policy = ProxyScope['authorizationPolicies'][number];
const policy = (name: string, spec: Partial<Policy['spec']>, more: Partial<Policy> = {}): Policy =>
  config('AuthorizationPolicy', name, { action: 'ALLOW', ...spec }, more);

const DOMAINS = ['cluster.local', 'old.domain'];
type Rules = { readonly action: string; readonly policies: Readonly<Record<string, unknown>> };
const http = (...policies: readonly Policy[]) =>
  httpRbacFilters(policies, DOMAINS).map((f) => ({ name: f.name, rules: f.typedConfig?.rules as Rules }));
const tcp = (...policies: readonly Policy[]) =>
  networkRbacFilters(policies, DOMAINS).map((f) => ({ name: f.name, rules: f.typedConfig?.rules as Rules }));

test('CUSTOM, then DENY, then ALLOW, whatever order the policies have', () => {
  const names = http(
    policy('a', { action: 'ALLOW', rules: [{}] }),
    policy('d', { action: 'DENY', rules: [{}] }),
    policy('c', { action: 'CUSTOM', rules: [{}] }),
    policy('audit', { action: 'AUDIT', rules: [{}] }),
  ).map((f) => f.name);
  assert.deepEqual(names, ['istio.rbac.custom', 'istio.rbac.deny', 'istio.rbac.allow']);
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

test('an address that is none matches nothing, and a dry run enforces nothing', () => {
  provesAnnotations('istio.io/dry-run');
  const [one] = http(policy('p', { rules: [{ from: [{ source: { ipBlocks: ['nonsense'] } }] }] }));
  assert.deepEqual(one?.rules.policies['ns[default]-policy[p]-rule[0]'], {
    principals: [{ notId: { any: true } }],
    permissions: [{ any: true }],
  });
  assert.deepEqual(http(policy('p', { rules: [] }, { annotations: { 'istio.io/dry-run': 'true' } })), []);
});

test('filters come in the order of the table, with the router last', () => {
  const names = httpFilters(httpRbacFilters([policy('d', { action: 'DENY' })], DOMAINS)).map((f) => f.name ?? '');
  const places = names.map((name) => HTTP_FILTER_ORDER.findIndex((place) => place.name === name));
  assert.deepEqual(
    places,
    [...places].sort((a, b) => a - b),
  );
  assert.equal(names.at(-1), 'envoy.filters.http.router');
  assert.ok(names.includes('istio.rbac.deny'));
});
