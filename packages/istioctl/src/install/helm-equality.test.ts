import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import type { KubeObject } from '@istio-ts/kube';
import { loadAll } from 'js-yaml';

const root = join(import.meta.dirname, '..', '..', '..', '..');
const charts = join(root, 'packages', 'charts', 'manifests');
const absent = spawnSync('helm', ['version'], { stdio: 'ignore' }).status !== 0 && 'helm is not installed';

/** What each profile takes with helm: settings, and charts with their release and namespace. */
const core = [
  ['base', 'istio-base', 'istio-system'],
  ['istiod', 'istiod', 'istio-system'],
] as const;
const ingress = ['istio-ingress', 'istio-ingressgateway', 'istio-system'] as const;
const PROFILES: Readonly<
  Record<string, { readonly set: readonly string[]; readonly charts: readonly (readonly [string, string, string])[] }>
> = {
  default: { set: [], charts: [...core, ingress] },
  minimal: { set: ['profile=minimal'], charts: core },
  demo: {
    set: ['profile=demo'],
    charts: [...core, ingress, ['istio-egress', 'istio-egressgateway', 'istio-system']],
  },
  stable: { set: ['profile=stable'], charts: [...core, ingress] },
  preview: { set: ['profile=preview'], charts: [...core, ingress] },
  ambient: {
    set: ['profile=ambient'],
    charts: [...core, ['cni', 'istio-cni', 'istio-system'], ['ztunnel', 'ztunnel', 'istio-system']],
  },
  openshift: {
    set: ['global.platform=openshift'],
    charts: [...core, ['cni', 'istio-cni', 'kube-system'], ingress],
  },
};

/** Labels that say who installed. */
const OWNERSHIP: ReadonlySet<string> = new Set([
  'release',
  'app.kubernetes.io/instance',
  'app.kubernetes.io/managed-by',
]);

function withoutOwnership(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutOwnership);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([key]) => !OWNERSHIP.has(key))
      .map(([key, item]) => [key, withoutOwnership(item)]),
  );
}

function byName(yaml: string): ReadonlyMap<string, unknown> {
  const objects = loadAll(yaml).filter((object) => object !== null && object !== undefined) as KubeObject[];
  return new Map(
    objects
      .map((object) => {
        const { kind, metadata } = object;
        return [`${kind}/${metadata.namespace ?? '-'}/${metadata.name}`, comparable(object)] as const;
      })
      .sort(([a], [b]) => (a < b ? -1 : 1)),
  );
}

function comparable(object: KubeObject): unknown {
  const plain = withoutOwnership(object) as {
    data?: Record<string, string>;
    spec?: { ports?: { protocol?: string }[] };
  };
  // The record of the settings: istioctl has some of them as Kubernetes settings, which are no values.
  if (object.kind === 'ConfigMap' && object.metadata.name === 'values') return { ...plain, data: {} };
  // The demo profile of istioctl lists its ports itself, for the Service alone.
  if (object.kind === 'Service' && object.metadata.name === 'istio-ingressgateway')
    return { ...plain, spec: { ...plain.spec, ports: [] } };
  return plain;
}

const run = (program: string, args: readonly string[]): string =>
  execFileSync(program, args, { encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 });

for (const [profile, { set, charts: uses }] of Object.entries(PROFILES))
  test(`profile ${profile}: helm and istioctl make the same objects`, { skip: absent }, () => {
    const ours = byName(
      run(process.execPath, [
        join(root, 'packages/istioctl/src/bin/istioctl.ts'),
        ...['manifest', 'generate', '--set', `profile=${profile}`],
      ]),
    );
    const helm = byName(
      uses
        .map(([chart, release, namespace]) =>
          run('helm', [
            'template',
            release,
            join(charts, chart),
            '-n',
            namespace,
            ...set.flatMap((each) => ['--set', each]),
          ]),
        )
        .join('\n'),
    );
    assert.deepEqual([...ours.keys()], [...helm.keys()]);
    for (const [name, object] of ours) assert.deepEqual(object, helm.get(name), name);
  });
