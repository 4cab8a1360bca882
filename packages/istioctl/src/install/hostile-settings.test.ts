import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import type { JsonObject } from '@istio-ts/charts';
import fc from 'fast-check';
import { readSpec } from './input.ts';
import { generateManifests } from './manifests.ts';

const chartsDir = join(import.meta.dirname, '..', '..', '..', 'charts', 'manifests');
const folder = mkdtempSync(join(tmpdir(), 'istio-ts-hostile-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const base = { chartsDir, istioNamespace: 'istio-system', sets: [] };
const operator = (spec: string) => `apiVersion: install.istio.io/v1alpha1\nkind: IstioOperator\nspec:\n${spec}`;
function fromText(text: string) {
  const file = join(folder, 'settings.yaml');
  writeFileSync(file, text);
  const { spec } = readSpec({ ...base, files: [file] });
  return generateManifests(chartsDir, spec);
}
const from = (spec: JsonObject) => generateManifests(chartsDir, readSpec({ ...base, files: [], specs: [spec] }).spec);
const fromSets = (...sets: readonly string[]) =>
  generateManifests(chartsDir, readSpec({ ...base, files: [], sets }).spec);

describe('hostile settings are refused with a message', () => {
  test('few aliases that stand for billions of values', () => {
    const levels = Array.from({ length: 9 }, (_, level) =>
      level === 0
        ? '    a0: &a0 {x: 1}'
        : `    a${level}: &a${level} {${Array.from({ length: 9 }, (_, item) => `k${item}: *a${level - 1}`).join(', ')}}`,
    );
    assert.throws(
      () => fromText(operator(`  values:\n${levels.join('\n')}\n`)),
      /more than 100000 values once repeated ones/,
    );
  });

  test('a long text repeated by aliases', () => {
    const items = Array.from({ length: 90 }, () => '*t').join(', ');
    const text = operator(`  values:\n    t: &t ${'x'.repeat(200_000)}\n    list: [${items}]\n`);
    assert.throws(() => fromText(text), /more than 8 MiB of text/);
  });

  test('mappings within mappings without end', () => {
    const depth = 90;
    const lines = Array.from({ length: depth }, (_, level) => `${' '.repeat(4 + level)}a:`).join('\n');
    assert.throws(
      () => fromText(operator(`  values:\n${lines}\n${' '.repeat(4 + depth)}b: 1\n`)),
      /nested deeper than 64/,
    );
    assert.throws(() => fromSets(`values.${'a.'.repeat(5000)}b=1`), /nested deeper than 64/);
    const braces = 50_000;
    assert.doesNotThrow(() =>
      fromSets(`values.pilot.podAnnotations.x=${'{'.repeat(braces)}${'}'.repeat(braces)}`.slice(0, 60)),
    );
  });

  test('a file that is too large', () => {
    assert.throws(() => fromText(`# ${'x'.repeat(9 << 20)}`), /larger than 8 MiB/);
  });

  test('names that mean something to JavaScript', () => {
    for (const spec of ['  values:\n    __proto__: {enabled: true}\n', '  __proto__: {profile: demo}\n'])
      assert.throws(() => fromText(operator(spec)), /no setting is called __proto__/);
    assert.throws(() => fromSets('values.__proto__.polluted=1'), /no setting is called __proto__/);
    assert.throws(() => from(JSON.parse('{"components":{"pilot":{"k8s":{"__proto__":{"x":1}}}}}')), /__proto__/);
    assert.equal(({} as { polluted?: unknown }).polluted, undefined);
  });

  test('texts that would become objects or fields', () => {
    const object = 'x\n---\napiVersion: v1\nkind: Secret\nmetadata: {name: smuggled}\n';
    const field = 'x\n      hostPID: true';
    for (const path of [
      ['revision'],
      ['namespace'],
      ['hub'],
      ['tag'],
      ['values', 'global', 'hub'],
      ['values', 'global', 'tag'],
      ['values', 'global', 'istioNamespace'],
      ['values', 'global', 'priorityClassName'],
      ['values', 'global', 'pilotCertProvider'],
      ['values', 'global', 'caAddress'],
      ['values', 'global', 'logging', 'level'],
      ['values', 'global', 'proxy', 'clusterDomain'],
      ['values', 'global', 'proxy', 'logLevel'],
      ['values', 'pilot', 'image'],
      ['values', 'pilot', 'cni', 'provider'],
      ['values', 'ownerName'],
      ['values', 'gateways', 'istio-ingressgateway', 'name'],
      ['values', 'gateways', 'istio-ingressgateway', 'networkGateway'],
      ['values', 'gateways', 'istio-ingressgateway', 'loadBalancerIP'],
    ])
      for (const text of [object, field]) {
        const setting = path.reduceRight<unknown>((inner, key) => ({ [key]: inner }), text) as JsonObject;
        // Only the part whose chart reads it.
        const spec: JsonObject = path.includes('gateways')
          ? { ...setting, components: { base: { enabled: false }, pilot: { enabled: false } } }
          : { ...setting, profile: 'minimal', components: { base: { enabled: false } } };
        let objects: readonly { readonly kind: string; readonly metadata: { readonly name?: string } }[];
        try {
          objects = from(spec).flatMap((part) => part.objects);
        } catch (error) {
          assert.match((error as Error).name, /OperatorError|ChartError/, path.join('.'));
          continue;
        }
        assert.ok(!objects.some(({ metadata }) => metadata.name === 'smuggled'), path.join('.'));
        assert.doesNotMatch(JSON.stringify(objects), /"hostPID":true/, path.join('.'));
      }
    const name = { components: { ingressGateways: [{ name: object, enabled: true }] } };
    assert.throws(() => from(name), /is no valid name/);
    const key = { values: { gateways: { 'istio-ingressgateway': { labels: { 'a\nb': 'c' } } } } };
    assert.throws(() => from(key), /holds a line break/);
  });

  test('texts of several lines where they belong stay', () => {
    const pem = '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n';
    const objects = from({ values: { pilot: { jwksResolverExtraRootCA: pem } } }).flatMap((part) => part.objects);
    assert.match(JSON.stringify(objects), /MIIB/);
  });

  test('a mistake that is forced renders or says why not', () => {
    const spec: JsonObject = { components: { ingressGateways: { a: 1 }, pilot: { enabled: true, k8s: { env: 'x' } } } };
    const { spec: forced } = readSpec({ ...base, files: [], specs: [spec], force: true });
    assert.doesNotThrow(() => generateManifests(chartsDir, forced));
  });
});

const json = fc.jsonValue({ maxDepth: 3 }) as fc.Arbitrary<never>;
const path = fc.constantFrom(
  ['profile'],
  ['hub'],
  ['tag'],
  ['revision'],
  ['namespace'],
  ['meshConfig'],
  ['meshConfig', 'defaultConfig'],
  ['meshConfig', 'extensionProviders'],
  ['components'],
  ['components', 'pilot'],
  ['components', 'pilot', 'k8s'],
  ['components', 'pilot', 'k8s', 'env'],
  ['components', 'pilot', 'k8s', 'overlays'],
  ['components', 'pilot', 'k8s', 'resources'],
  ['components', 'pilot', 'k8s', 'hpaSpec'],
  ['components', 'pilot', 'k8s', 'securityContext'],
  ['components', 'ingressGateways'],
  ['components', 'cni'],
  ['values'],
  ['values', 'global'],
  ['values', 'global', 'proxy'],
  ['values', 'global', 'multiCluster'],
  ['values', 'global', 'imagePullSecrets'],
  ['values', 'pilot'],
  ['values', 'pilot', 'env'],
  ['values', 'pilot', 'resources'],
  ['values', 'pilot', 'autoscaleBehavior'],
  ['values', 'gateways'],
  ['values', 'gateways', 'istio-ingressgateway'],
  ['values', 'gateways', 'istio-ingressgateway', 'ports'],
  ['values', 'cni'],
  ['values', 'sidecarInjectorWebhook'],
  ['values', 'sidecarInjectorWebhook', 'templates'],
  ['values', 'meshConfig'],
  ['unvalidatedValues'],
  ['unvalidatedValues', 'global'],
  ['cni'],
  ['gateways'],
  ['trafficManagement'],
);

test('whatever stands in the place of a setting, it is rendered or refused with a message, and adds no object', () => {
  const kinds = new Set(from({}).flatMap(({ objects }) => objects.map(({ kind }) => kind)));
  fc.assert(
    fc.property(path, json, (at, value) => {
      const spec = at.reduceRight<unknown>((inner, key) => ({ [key]: inner }), value) as JsonObject;
      try {
        for (const { objects } of from(spec))
          for (const object of objects)
            assert.ok(kinds.has(object.kind) || /Policy|Daemon|Config|Budget|Attachment|Quota/.test(object.kind));
      } catch (error) {
        assert.match((error as Error).name, /^(OperatorError|ChartError)$/, (error as Error).stack);
      }
    }),
    { numRuns: 40 },
  );
});
