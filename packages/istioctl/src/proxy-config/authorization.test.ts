import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { authorizationTable, policiesInForce } from './authorization.ts';
import { parseConfigDump } from '@istio-ts/envoy-dump/config-dump';

test('the policies of a real sidecar, in the order in which they are asked', () => {
  const dump = parseConfigDump(
    readFileSync(join(import.meta.dirname, 'testdata', 'sidecar.json'), 'utf8'),
    'sidecar.json',
  );
  assert.equal(
    authorizationTable(policiesInForce(dump)),
    'ACTION   AuthorizationPolicy    RULES\nDENY     deny-secret.default    1\nALLOW    hello-viewer.default   2\n',
  );
});

const listener = (filters: readonly object[]) =>
  parseConfigDump(
    JSON.stringify({
      configs: [
        {
          '@type': 'type.googleapis.com/envoy.admin.v3.ListenersConfigDump',
          dynamic_listeners: [{ active_state: { listener: { filter_chains: [{ filters }] } } }],
        },
      ],
    }),
    'test',
  );
const rbac = (config: object, name = 'rbac') => ({
  name,
  typed_config: { '@type': 'type.googleapis.com/envoy.extensions.filters.network.rbac.v3.RBAC', ...config },
});

test('dry runs, external checks and a check that admits nothing', () => {
  const rule = (policy: string) => ({ policies: { [`ns[shop]-policy[${policy}]-rule[0]`]: {} } });
  assert.deepEqual(
    policiesInForce(
      listener([
        rbac({ rules: {} }),
        rbac({ shadow_rules: { action: 'DENY', ...rule('tried') } }),
        rbac({ rules: { action: 'DENY', ...rule('asked') } }, 'istio.rbac.custom'),
        rbac({
          shadow_rules: { action: 'DENY', policies: { 'istio-ext-authz-opa-ns[shop]-policy[opa]-rule[0]': {} } },
          shadow_rules_stat_prefix: 'istio_ext_authz_',
        }),
        rbac({ rules: { action: 'LOG', ...rule('watched') } }),
        rbac({ rules: { action: 'DENY', policies: { 'by hand': {} } } }),
      ]),
    ).map(({ action, policy, rules, dryRun }) => [action, policy, rules, dryRun]),
    [
      ['CUSTOM', 'asked.shop', 1, false],
      ['CUSTOM', 'opa.shop', 1, false],
      ['LOG', 'watched.shop', 1, false],
      ['DENY', 'by hand', 1, false],
      ['DENY', 'tried.shop', 1, true],
      ['ALLOW', '(nothing is admitted)', 0, false],
    ],
  );
});
