import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { requireEnvoy } from '@istio-ts/envoy/testing/binary';
import { freePort } from '@istio-ts/envoy/testing/free-port';

const type = (name: string) => `type.googleapis.com/envoy.extensions.filters.${name}`;
const address = (portValue: number) => ({ socketAddress: { address: '127.0.0.1', portValue } });

test('counters of AuthorizationPolicies have the names and labels of the documentation', async () => {
  const [admin, port] = [await freePort(), await freePort()];
  const { statsConfig } = JSON.parse(readFileSync(join(import.meta.dirname, 'sidecar.golden.json'), 'utf8')) as {
    readonly statsConfig: object;
  };
  const all = { action: 'DENY', policies: { all: { permissions: [{ any: true }], principals: [{ any: true }] } } };
  const checks = [
    { shadowRules: all, shadowRulesStatPrefix: 'istio_dry_run_deny_' },
    { shadowRules: all, shadowRulesStatPrefix: 'istio_ext_authz_' },
    { rules: { action: 'DENY' } },
  ];
  const manager = {
    '@type': type('network.http_connection_manager.v3.HttpConnectionManager'),
    statPrefix: 'inbound_0.0.0.0_80;',
    routeConfig: {
      virtualHosts: [
        { name: 'all', domains: ['*'], routes: [{ match: { prefix: '/' }, directResponse: { status: 200 } }] },
      ],
    },
    httpFilters: [
      ...checks.map((check, i) => ({ name: `${i}`, typedConfig: { '@type': type('http.rbac.v3.RBAC'), ...check } })),
      { name: 'router', typedConfig: { '@type': type('http.router.v3.Router') } },
    ],
  };
  const folder = await mkdtemp(join(tmpdir(), 'agent-stats-'));
  const file = join(folder, 'envoy.json');
  writeFileSync(
    file,
    JSON.stringify({
      node: { id: 'test', cluster: 'test' },
      admin: { address: address(admin) },
      statsConfig,
      staticResources: {
        listeners: [
          {
            name: 'one',
            address: address(port),
            filterChains: [{ filters: [{ name: 'http', typedConfig: manager }] }],
          },
        ],
      },
    }),
  );
  const envoy = spawn(requireEnvoy(), ['-c', file, '--disable-hot-restart', '--concurrency', '1', '-l', 'off']);
  const ended = new Promise((resolve) => envoy.once('exit', resolve));
  try {
    for (const until = Date.now() + 120_000; ; ) {
      try {
        assert.equal((await fetch(`http://127.0.0.1:${port}/`)).status, 200);
        break;
      } catch (error) {
        if (Date.now() > until) throw error;
        await wait(50);
      }
    }
    const page = await (await fetch(`http://127.0.0.1:${admin}/stats/prometheus`)).text();
    assert.deepEqual(
      page
        .split('\n')
        .filter((line) => /^[^#].*rbac/.test(line))
        .sort(),
      [
        'envoy_http_inbound_0_0_0_0_80_rbac{authz_dry_run_action="deny",authz_dry_run_result="allowed"} 0',
        'envoy_http_inbound_0_0_0_0_80_rbac{authz_dry_run_action="deny",authz_dry_run_result="denied"} 1',
        'envoy_http_rbac_allowed{http_conn_manager_prefix="inbound_0.0.0.0_80"} 1',
        'envoy_http_rbac_denied{http_conn_manager_prefix="inbound_0.0.0.0_80"} 0',
        'envoy_http_rbac_istio_ext_authz__shadow_allowed{http_conn_manager_prefix="inbound_0.0.0.0_80"} 0',
        'envoy_http_rbac_istio_ext_authz__shadow_denied{http_conn_manager_prefix="inbound_0.0.0.0_80"} 1',
        'envoy_http_rbac_shadow_allowed{http_conn_manager_prefix="inbound_0.0.0.0_80"} 0',
        'envoy_http_rbac_shadow_denied{http_conn_manager_prefix="inbound_0.0.0.0_80"} 0',
      ],
    );
  } finally {
    envoy.kill('SIGKILL');
    await ended;
    await rm(folder, { recursive: true, force: true });
  }
});
