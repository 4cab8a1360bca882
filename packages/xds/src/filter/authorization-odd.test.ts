import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { pathTemplateProblem } from '@istio-ts/api';
import { requireEnvoy } from '@istio-ts/envoy/testing/binary';
import type { ProxyScope } from '@istio-ts/mesh/model';
import { config } from '../testing/scope.ts';
import { httpAuthorizationFilters, networkAuthorizationFilters } from './authorization.ts';

/** Values that nobody should write: one of them in one policy must not keep a proxy from taking its listener. */
const ODD = [
  ...[
    '',
    '*',
    '**',
    '*a*',
    'a*',
    '*a',
    '/',
    '//',
    'a/',
    '/b',
    'a/b/c',
    'a|b',
    '[',
    '(',
    '+',
    '?',
    '.',
    '$',
    '^',
    '\\',
    '\\E',
  ],
  ...[
    '\n',
    '\0',
    'ä',
    '(?i)',
    '{',
    '}',
    '/{',
    '/a{b}',
    '/{**}/{**}',
    '/{*}{*}',
    '/a b/{*}',
    '/ä/{*}',
    '/a//{*}',
    '//{*}',
  ],
  ...['/a\\/{*}', '/a"/{*}', '/{*}/', '/{*}.html', '/a%2/{*}', '/%zz/{*}', '/{**}/{*}', '/a?/{*}', '/[a]/{*}'],
  ...[`/${'a'.repeat(400)}/{*}`, '/{*}'.repeat(200), 'x'.repeat(4000), 'x'.repeat(100_000)],
  ...['1.2.3.4/33', 'fe80::1%eth0', '-1', '1e3', '65536', 'spiffe://a'],
];
const SOURCES = [
  'principals',
  'requestPrincipals',
  'namespaces',
  'serviceAccounts',
  'trustDomains',
  'ipBlocks',
] as const;
const OPERATIONS = ['hosts', 'notHosts', 'ports', 'methods', 'paths', 'notPaths'] as const;
const KEYS = [
  'request.headers[x]',
  'source.ip',
  'destination.port',
  'connection.sni',
  'request.auth.claims[a]',
] as const;

test('Envoy takes the filters of policies with whatever values', () => {
  const rules = ODD.flatMap((value) => [
    ...SOURCES.map((field) => ({ from: [{ source: { [field]: [value] } }] })),
    ...OPERATIONS.map((field) => ({ to: [{ operation: { [field]: [value] } }] })),
    ...[...KEYS, 'experimental.envoy.filters.a[b]', `request.headers[${value}]`].map((key) => ({
      when: [{ key, values: [value], notValues: [value] }],
    })),
  ]);
  type Policy = ProxyScope['authorizationPolicies'][number];
  const policies = (['DENY', 'ALLOW', 'AUDIT', 'CUSTOM'] as const).map(
    (action): Policy => config('AuthorizationPolicy', action.toLowerCase(), { action, rules }),
  );
  const context = { trustDomains: ['cluster.local', 'old.td'], authorizers: new Map() };
  const type = (name: string) => `type.googleapis.com/envoy.extensions.filters.${name}`;
  const manager = {
    '@type': type('network.http_connection_manager.v3.HttpConnectionManager'),
    statPrefix: 'odd',
    routeConfig: {},
    httpFilters: [
      ...httpAuthorizationFilters(policies, context),
      { name: 'router', typedConfig: { '@type': type('http.router.v3.Router') } },
    ],
  };
  const folder = mkdtempSync(join(tmpdir(), 'authorization-odd-'));
  try {
    const file = join(folder, 'envoy.json');
    const bootstrap = {
      layeredRuntime: { layers: [{ name: 'agent', staticLayer: { 're2.max_program_size.error_level': 32_768 } }] },
      staticResources: {
        listeners: [
          {
            name: 'odd',
            address: { socketAddress: { address: '127.0.0.1', portValue: 0 } },
            filterChains: [
              { filters: [...networkAuthorizationFilters(policies, context), { name: 'http', typedConfig: manager }] },
            ],
          },
        ],
      },
    };
    writeFileSync(file, JSON.stringify(bootstrap));
    const { status, stderr } = spawnSync(requireEnvoy(), ['--mode', 'validate', '-l', 'error', '-c', file], {
      encoding: 'utf8',
    });
    assert.equal(status, 0, stderr.slice(0, 2000));
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('templates of paths that Envoy would not take are told', () => {
  const good = ['/{*}', '/{**}', '/a/{*}/b/{**}/c', '/{*}/', '/a.b-c_d~e/{*}', '/a%20b/{*}', "/!$&'()+,;=:@/{*}"];
  assert.deepEqual(
    good.map(pathTemplateProblem),
    good.map(() => undefined),
  );
  for (const path of ['{*}', '/a//{*}', '/a b/{*}', '/{**}/{*}', '/a\\/{*}', '/{*}x', '/a*/{*}', '/a%2/{*}'])
    assert.equal(typeof pathTemplateProblem(path), 'string', path);
});
