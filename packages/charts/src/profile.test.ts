import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { loadChart } from './chart.ts';
import { isJsonObject, type JsonObject } from './json.ts';
import { loadProfile, profileNames } from './profile.ts';
import { renderChart } from './render.ts';
import { mergeValues, type Values } from './values.ts';

const manifests = join(import.meta.dirname, '..', 'manifests');
/** Which resources each of Istio's profiles renders: a table that stands beside the repository where there is one. */
const REFERENCE =
  process.env.ISTIO_PROFILE_TABLE ??
  join(import.meta.dirname, '..', '..', '..', '..', 'shared', 'reference', 'profiles.md');

const object = (value: unknown): JsonObject => (isJsonObject(value) ? value : {});

function enabled(profiles: readonly JsonObject[], component: string, gateway?: string): boolean {
  let on = false;
  for (const profile of profiles) {
    const part = object(profile.components)[component];
    const own =
      gateway === undefined
        ? object(part)
        : object((Array.isArray(part) ? part : []).find((each) => object(each).name === gateway));
    if (typeof own.enabled === 'boolean') on = own.enabled;
  }
  return on;
}

/** Names of everything that a profile renders. */
function resourcesOf(profile: string): readonly string[] {
  const layers =
    profile === 'default'
      ? [loadProfile(manifests, 'default')]
      : [loadProfile(manifests, 'default'), loadProfile(manifests, profile)];
  const values = layers.reduce<Values>((under, layer) => mergeValues(under, object(layer.values)), {});
  const charts = [
    ...(enabled(layers, 'base') ? ['base'] : []),
    ...(enabled(layers, 'pilot') ? ['istiod'] : []),
    ...(enabled(layers, 'cni') ? ['cni'] : []),
    ...(enabled(layers, 'ztunnel') ? ['ztunnel'] : []),
    ...(enabled(layers, 'ingressGateways', 'istio-ingressgateway') ? ['istio-ingress'] : []),
    ...(enabled(layers, 'egressGateways', 'istio-egressgateway') ? ['istio-egress'] : []),
  ];
  const namespaceOf = (chart: string): string => {
    const own = layers.map((layer) => object(object(layer.components)[chart]).namespace);
    return String(own.findLast((namespace) => namespace !== undefined) ?? 'istio-system');
  };
  return charts
    .flatMap(
      (chart) =>
        renderChart(loadChart(join(manifests, chart)), {
          values,
          release: { name: 'istio', namespace: namespaceOf(chart) },
        }).manifests,
    )
    .map(({ object: { kind, metadata } }) => `${kind}/${metadata.namespace ?? '-'}/${metadata.name}`)
    .sort();
}

test('profiles render the resources of Istio’s profiles', {
  skip:
    !existsSync(REFERENCE) && `there is no table of resources at ${REFERENCE}; ISTIO_PROFILE_TABLE may name another`,
}, async (t) => {
  const [header, ...rows] = readFileSync(REFERENCE, 'utf8')
    .split('\n')
    .filter((line) => line.includes(' | '))
    .map((line) => line.split(' | ').map((cell) => cell.trim()));
  for (const [column, profile] of (header ?? []).entries()) {
    if (column === 0) continue;
    await t.test(profile, () => {
      const expected = rows
        .filter((row) => row[column] === 'x')
        .map((row) => row[0] ?? '')
        .sort();
      assert.deepEqual(resourcesOf(profile), expected);
    });
  }
});

test('profiles by name', () => {
  assert.deepEqual(profileNames(manifests), [
    'ambient',
    'default',
    'demo',
    'empty',
    'external',
    'minimal',
    'openshift',
    'openshift-ambient',
    'preview',
    'remote',
    'stable',
  ]);
  assert.throws(() => loadProfile(manifests, 'nope'), /unknown profile "nope"; there are ambient, default/);
  assert.throws(() => loadProfile(manifests, 'sds'), /Secret discovery is always on/);
  assert.throws(() => loadProfile(manifests, '../values'), /unknown profile/);
});
