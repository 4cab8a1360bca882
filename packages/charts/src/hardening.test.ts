import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { KubeObject } from '@istio-ts/kube/object';
import { loadChart } from './chart.ts';
import { type Manifest, renderChart } from './render.ts';
import type { Values } from './values.ts';

/** What a security team asks of every chart, looked at in everything that the charts render: rights, containers, network policies. */

const manifests = join(import.meta.dirname, '..', 'manifests');
const LAYERED = ['base', 'istiod', 'gateway', 'cni', 'ztunnel', 'istio-ingress', 'istio-egress'];
const profiles = readdirSync(join(manifests, '..', 'shared', 'profiles')).map((file) => file.slice(0, -'.yaml'.length));

interface Rendering {
  readonly name: string;
  readonly manifests: readonly Manifest[];
}

function rendering(chart: string, name: string, values: Values): Rendering {
  const { manifests: rendered } = renderChart(loadChart(join(manifests, chart)), {
    values,
    release: { name: 'rel', namespace: 'istio-system' },
  });
  return { name: `${chart} ${name}`, manifests: rendered };
}

/** Every chart by itself, with every profile, platform and compatibility version, and with all that adds rights or workloads. */
const renderings: readonly Rendering[] = [
  ...LAYERED.flatMap((chart) => [
    rendering(chart, '', {}),
    rendering(chart, 'networkPolicy', { global: { networkPolicy: { enabled: true } } }),
    ...profiles
      .filter((profile) => !/^(platform|compatibility-version)-/.test(profile))
      .map((profile) => rendering(chart, profile, { profile })),
    ...profiles
      .filter((profile) => profile.startsWith('platform-'))
      .map((profile) => rendering(chart, profile, { profile: 'ambient', global: { platform: profile.slice(9) } })),
    ...profiles
      .filter((profile) => profile.startsWith('compatibility-version-'))
      .map((profile) => rendering(chart, profile, { compatibilityVersion: profile.slice(22) })),
  ]),
  rendering('istiod', 'all rights', {
    revision: 'canary',
    taint: { enabled: true, namespace: 'kube-system' },
    secretNamespaces: ['edge', 'shop'],
    global: { certSigners: ['example.com/mesh'] },
  }),
  rendering('istiod', 'remote', {
    istiodRemote: { enabled: true, injectionURL: 'https://x/inject' },
    base: { validationURL: 'https://x/validate' },
  }),
  rendering('cni', 'ambient', { ambient: { enabled: true } }),
  rendering('cni', 'deletes', { repair: { repairPods: false, deletePods: true, labelPods: true } }),
  rendering('cni', 'labels', { repair: { repairPods: false, labelPods: true } }),
  rendering('istio-operator', '', {}),
];

type Fields = Readonly<Record<string, unknown>>;
const fields = (value: unknown): Fields => (value ?? {}) as Fields;
const list = (value: unknown): readonly Fields[] => (Array.isArray(value) ? value : []) as readonly Fields[];
const words = (value: unknown): readonly string[] => (Array.isArray(value) ? value.map(String) : []);
const all = renderings.flatMap(({ name, manifests: rendered }) => rendered.map((manifest) => ({ name, ...manifest })));
const named = (object: KubeObject): string => `${object.kind} ${object.metadata.name}`;

describe('rights', () => {
  const roles = all.filter(({ object }) => object.kind === 'Role' || object.kind === 'ClusterRole');

  test('no role has a wildcard, and none lets its holder become another', () => {
    assert.ok(roles.length > 100);
    for (const { name, object } of roles)
      for (const rule of list(object.rules)) {
        const what = `${name}: ${named(object)}: ${JSON.stringify(rule)}`;
        for (const key of ['apiGroups', 'resources', 'verbs', 'nonResourceURLs'])
          for (const word of words(rule[key])) assert.ok(!word.includes('*'), what);
        assert.ok(!words(rule.verbs).includes('impersonate'), what);
        // The operator makes roles that reach further than its own.
        if (!name.startsWith('istio-operator'))
          assert.ok(!words(rule.verbs).some((verb) => verb === 'escalate' || verb === 'bind'), what);
        assert.ok(!words(rule.resources).includes('serviceaccounts/token'), what);
      }
  });

  test('each rule says why it is there', () => {
    for (const { name, object, text } of roles) {
      const lines = text.split('\n');
      const rules = [...lines.entries()].filter(([, line]) => line.startsWith('- apiGroups:'));
      assert.equal(rules.length, list(object.rules).length, `${name}: ${named(object)}`);
      for (const [index, line] of rules)
        assert.match(lines[index - 1] ?? '', /^# \S/, `${name}: ${named(object)}: ${line} ${lines[index + 1]}`);
    }
  });

  test('the CNI agent may do to pods what its settings say, and nothing else', () => {
    const verbs = (name: string) =>
      roles
        .filter((role) => role.name === name)
        .flatMap(({ object }) => list(object.rules))
        .flatMap((rule) => words(rule.resources).flatMap((what) => words(rule.verbs).map((verb) => `${verb} ${what}`)));
    const looks = ['get pods', 'get daemonsets', 'list pods', 'watch pods'];
    assert.deepEqual(verbs('cni default'), [...looks, 'create events']);
    assert.deepEqual(verbs('cni deletes'), [...looks, 'create events', 'delete pods']);
    assert.deepEqual(verbs('cni labels'), [...looks, 'patch pods']);
  });

  test('only istiod, its readers of other clusters and gateways read Secrets; the first of all namespaces only where none is named', () => {
    for (const { name, object } of roles) {
      const readsSecrets = list(object.rules).some((rule) => words(rule.resources).includes('secrets'));
      if (!readsSecrets) continue;
      if (object.kind === 'ClusterRole') {
        assert.match(object.metadata.name ?? '', /^(istiod-clusterrole|istio-reader-clusterrole)/, name);
        if (name === 'istiod all rights') assert.match(object.metadata.name ?? '', /^istio-reader/);
      }
    }
    const restricted = all.filter(({ name }) => name === 'istiod all rights');
    for (const kind of ['Role', 'RoleBinding'])
      assert.deepEqual(
        restricted
          .filter(({ object }) => object.kind === kind && object.metadata.name?.startsWith('istiod-secrets-canary'))
          .map(({ object }) => object.metadata.namespace),
        ['edge', 'shop'],
      );
    const deployment = restricted.find(({ object }) => object.kind === 'Deployment');
    assert.match(deployment?.text ?? '', /name: ISTIO_TS_SECRET_NAMESPACES\n\s+value: "edge,shop"/);
  });

  test('everything that the charts make, the operator may make and remove', () => {
    const [role] = all.filter(({ name, object }) => name === 'istio-operator ' && object.kind === 'ClusterRole');
    const rules = list(role?.object.rules);
    const may = (group: string, kind: string, verb: string): boolean =>
      rules.some(
        (rule) =>
          words(rule.apiGroups).includes(group) &&
          words(rule.verbs).includes(verb) &&
          words(rule.resources).some((resource) => plural(kind) === resource),
      );
    const made = new Set(
      all
        .filter(({ name }) => name !== 'istio-operator ')
        .map(
          ({ object }) =>
            `${object.apiVersion?.includes('/') ? object.apiVersion.split('/')[0] : ''}/${object.kind}` as const,
        ),
    );
    for (const entry of made) {
      const [group = '', kind = ''] = entry.split('/');
      for (const verb of ['get', 'create', 'patch', 'delete'])
        assert.ok(may(group, kind, verb), `${verb} ${plural(kind)}.${group}`);
    }
  });
});

function plural(kind: string): string {
  if (kind === 'NetworkAttachmentDefinition') return 'network-attachment-definitions';
  const name = kind.toLowerCase();
  return name.endsWith('y') ? `${name.slice(0, -1)}ies` : `${name}s`;
}

/** Workloads that change the network of nodes and pods: root, with these capabilities and no other. */
const NODE_AGENTS: Readonly<Record<string, readonly string[]>> = {
  'istio-cni-node': ['NET_ADMIN', 'NET_RAW', 'SYS_PTRACE', 'SYS_ADMIN', 'DAC_OVERRIDE'],
  ztunnel: ['NET_ADMIN', 'SYS_ADMIN', 'NET_RAW'],
};

describe('containers', () => {
  const workloads = all.filter(({ object }) => ['Deployment', 'DaemonSet', 'StatefulSet', 'Job'].includes(object.kind));

  test('are not root, cannot become it, write no file of their image, have no capability and the default seccomp profile', () => {
    assert.ok(workloads.length > 50);
    for (const { name, object } of workloads) {
      const template = fields(fields(fields(object.spec).template));
      const pod = fields(template.spec);
      const podContext = fields(pod.securityContext);
      const agent = NODE_AGENTS[object.metadata.name ?? ''];
      for (const container of [...list(pod.initContainers), ...list(pod.containers)]) {
        const what = `${name}: ${named(object)}, container ${container.name}`;
        const context = { ...podContext, ...fields(container.securityContext) };
        const capabilities = fields(context.capabilities);
        assert.deepEqual(capabilities.drop, ['ALL'], what);
        assert.deepEqual(words(capabilities.add), agent ?? [], what);
        assert.equal(context.readOnlyRootFilesystem, true, what);
        // OpenShift's SELinux keeps even root of a container away from the node's files unless it is privileged.
        if (!(agent && name.endsWith('openshift'))) assert.ok(context.privileged !== true, what);
        assert.deepEqual(context.seccompProfile, { type: 'RuntimeDefault' }, what);
        if (agent !== undefined) continue;
        assert.equal(context.runAsNonRoot, true, what);
        assert.equal(context.allowPrivilegeEscalation, false, what);
        assert.notEqual(context.runAsUser, 0, what);
      }
      if (agent !== undefined) continue;
      for (const key of ['hostNetwork', 'hostPID', 'hostIPC']) assert.ok(pod[key] !== true, `${name}: ${key}`);
      for (const volume of list(pod.volumes)) assert.equal(volume.hostPath, undefined, `${name}: ${volume.name}`);
    }
  });

  test('agents of nodes write into the folders of CNI, of network namespaces, of their own sockets and log, and no others', () => {
    const writable = new Set<string>();
    for (const { name, object } of workloads) {
      if (NODE_AGENTS[object.metadata.name ?? ''] === undefined || /openshift|platform|ambient/.test(name)) continue;
      const pod = fields(fields(fields(object.spec).template).spec);
      const paths = new Map(
        list(pod.volumes).flatMap((volume) => {
          const path = fields(volume.hostPath).path;
          return typeof path === 'string' ? [[volume.name, path] as const] : [];
        }),
      );
      for (const container of list(pod.containers))
        for (const { name: volume, readOnly } of list(container.volumeMounts)) {
          const path = paths.get(volume);
          if (path !== undefined && readOnly !== true) writable.add(path);
        }
    }
    const known =
      /^\/(opt\/cni\/bin|etc\/cni\/net\.d|var\/(run\/(istio-cni|netns|ztunnel)|log\/istio-cni)|run\/(istio-cni|netns|ztunnel))$/;
    assert.ok(writable.size > 0);
    assert.deepEqual(
      [...writable].filter((path) => !known.test(path)),
      [],
    );
  });

  test('each workload has a NetworkPolicy where these are asked for, and none without', () => {
    for (const { name, manifests: rendered } of renderings) {
      const policies = rendered.filter(({ object }) => object.kind === 'NetworkPolicy').map(({ object }) => object);
      if (!name.endsWith('networkPolicy')) {
        assert.deepEqual(policies.map(named), [], name);
        continue;
      }
      for (const { object } of rendered.filter(
        ({ object: { kind } }) => kind === 'Deployment' || kind === 'DaemonSet',
      )) {
        const labels = fields(fields(fields(fields(object.spec).template).metadata).labels);
        const selecting = policies.filter((policy) => {
          const { matchLabels } = fields(fields(policy.spec).podSelector);
          const wanted = Object.entries(fields(matchLabels));
          return wanted.length > 0 && wanted.every(([key, value]) => labels[key] === value);
        });
        assert.equal(selecting.length, 1, `${name}: ${named(object)}`);
        assert.deepEqual(fields(selecting[0]?.spec).policyTypes, ['Ingress', 'Egress'], name);
      }
    }
  });
});
