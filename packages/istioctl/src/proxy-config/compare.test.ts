import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compareDumps, comparisonText } from './compare.ts';
import { parseConfigDump } from '@istio-ts/envoy-dump/config-dump';
import { diffLines, unifiedHunks } from './line-diff.ts';

const type = (kind: string) => `type.googleapis.com/envoy.admin.v3.${kind}ConfigDump`;
const dump = (clusters: readonly object[], fixed: readonly object[] = []) =>
  parseConfigDump(
    JSON.stringify({
      configs: [
        {
          '@type': type('Clusters'),
          static_clusters: fixed.map((cluster) => ({ cluster })),
          dynamic_active_clusters: clusters.map((cluster) => ({ cluster, last_updated: '2026-01-02T03:04:05.678Z' })),
        },
      ],
    }),
    'test',
  );

test('equal configurations match, whatever the order of their keys and the spelling of their names', () => {
  const wanted = dump([{ name: 'a', connectTimeout: '1s' }]);
  const actual = dump([{ connect_timeout: '1s', name: 'a' }], [{ name: 'xds-grpc' }]);
  const [clusters, listeners] = compareDumps(wanted, actual);
  assert.ok(clusters && listeners);
  assert.equal(comparisonText(clusters), 'Clusters Match (1, last changed 2026-01-02T03:04:05Z)\n');
  assert.equal(comparisonText(listeners), 'Listeners Match (0)\n');
});

test('what differs is told', () => {
  const [clusters] = compareDumps(
    dump([{ name: 'a', connectTimeout: '1s' }, { name: 'b' }]),
    dump([{ name: 'a', connectTimeout: '2s' }, { name: 'c' }]),
  );
  assert.ok(clusters);
  assert.equal(
    comparisonText(clusters),
    [
      "Clusters Don't Match (3 of 3 differ, last changed 2026-01-02T03:04:05Z)",
      '--- istiod: a',
      '+++ Envoy:  a',
      '@@ -1,4 +1,4 @@',
      ' {',
      '-  "connectTimeout": "1s",',
      '+  "connectTimeout": "2s",',
      '   "name": "a"',
      ' }',
      '- b: istiod would send it, Envoy does not have it',
      '+ c: Envoy has it, istiod does not know it',
      '',
    ].join('\n'),
  );
});

test('routes that came host by host match those of istiod, and a host that differs is told under its own name', () => {
  const routes = (hosts: readonly object[], more: object = {}) =>
    parseConfigDump(
      JSON.stringify({
        configs: [
          {
            '@type': type('Routes'),
            dynamic_route_configs: [{ route_config: { name: '80', virtual_hosts: hosts, ...more } }],
          },
        ],
      }),
      'test',
    );
  const istiod = routes([
    { name: 'a.example:80', domains: ['a'] },
    { name: 'b.example:80', domains: ['b'] },
    { name: 'allow_any', domains: ['*'] },
  ]);
  const envoy = (domain: string) =>
    routes(
      [
        { name: 'allow_any', domains: ['*'] },
        { name: '80/b.example:80', domains: [domain] },
        { name: '80/a.example:80', domains: ['a'] },
      ],
      { vhds: { config_source: { ads: {} } } },
    );
  const told = (domain: string) => {
    const [, , compared] = compareDumps(istiod, envoy(domain));
    assert.ok(compared);
    return comparisonText(compared);
  };
  assert.equal(told('b'), 'Routes Match (1)\n');
  assert.match(told('c'), /^- +"b"\n\+ +"c"\n(?:.*\n)* *"name": "b\.example:80"$/m);
});

test('differences of texts in the unified format', () => {
  const before = 'a b c d e f g h i j k l m'.split(' ');
  const after = 'a b c D e f g h i j k m n'.split(' ');
  assert.equal(
    unifiedHunks(diffLines(before, after), 1),
    '@@ -3,3 +3,3 @@\n c\n-d\n+D\n e\n@@ -11,3 +11,3 @@\n k\n-l\n m\n+n\n',
  );
  assert.equal(unifiedHunks(diffLines(before, before)), '');
  assert.equal(unifiedHunks(diffLines([], ['x'])), '@@ -1,0 +1,1 @@\n+x\n');
});
