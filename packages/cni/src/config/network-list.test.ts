import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  findPlugin,
  formatNetworkList,
  type Json,
  type JsonObject,
  type NetworkList,
  NetworkListError,
  parseNetworkFile,
  parseNetworkList,
  sameJson,
  withoutPlugin,
  withPlugin,
} from './network-list.ts';
import { pluginEntry, readPluginEntry } from './plugin-settings.ts';

const settings = {
  logLevel: 'info',
  kubeconfig: '/etc/cni/net.d/ZZZ-istio-cni-kubeconfig',
  binDir: '/opt/cni/bin',
  excludeNamespaces: ['istio-system', 'kube-system'],
  agentRunDir: '/var/run/istio-cni',
  agentNamespace: 'kube-system',
};
const entry = pluginEntry(settings);

/** Numbers from 0 to 1 that are the same in every run. */
function pseudoRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 1_664_525 + 1_013_904_223) % 2 ** 32;
    return state / 2 ** 32;
  };
}

function randomJson(random: () => number, depth: number): Json {
  const kind = Math.floor(random() * (depth > 0 ? 6 : 4));
  switch (kind) {
    case 0:
      return null;
    case 1:
      return random() < 0.5;
    case 2:
      return Math.floor(random() * 1e6);
    case 3:
      return `text ${Math.floor(random() * 100)} "ü\n`;
    case 4:
      return Array.from({ length: Math.floor(random() * 4) }, () => randomJson(random, depth - 1));
    default:
      return Object.fromEntries(
        Array.from({ length: Math.floor(random() * 4) }, () => [
          ['plugins', '__proto__', 'type', 'mtu', 'ipam', 'constructor'][Math.floor(random() * 6)],
          randomJson(random, depth - 1),
        ]),
      );
  }
}

function randomList(random: () => number): NetworkList {
  const plugins: JsonObject[] = Array.from({ length: 1 + Math.floor(random() * 4) }, (_, index) => ({
    ...(randomJson(random, 3) as JsonObject | null),
    type: ['calico', 'bridge', 'portmap', 'bandwidth'][index] ?? 'tuning',
  }));
  return { fields: { name: 'k8s-pod-network', cniVersion: '0.3.1', extra: randomJson(random, 2) }, plugins };
}

test('whatever the chain is: the plugin comes last, once, changes nothing else, and goes again without a trace', () => {
  for (let seed = 1; seed <= 300; seed++) {
    const before = randomList(pseudoRandom(seed));
    const joined = withPlugin(before, entry);
    assert.deepEqual(joined.plugins.at(-1), entry);
    assert.deepEqual(joined.plugins.slice(0, -1), before.plugins);
    assert.deepEqual(withPlugin(joined, entry), joined);
    assert.deepEqual(withoutPlugin(joined), before);
    const read = parseNetworkList(formatNetworkList(joined));
    assert.ok(sameJson(read.plugins, joined.plugins) && sameJson(read.fields, joined.fields), `seed ${seed}`);
  }
});

test('a new setting replaces the old entry, also one in the middle', () => {
  const list = parseNetworkList(
    '{"name":"n","cniVersion":"0.3.1","plugins":[{"type":"a"},{"type":"istio-cni"},{"type":"b"}]}',
  );
  assert.deepEqual(
    withPlugin(list, entry).plugins.map(({ type }) => type),
    ['a', 'b', 'istio-cni'],
  );
  assert.deepEqual(findPlugin(list), { type: 'istio-cni' });
});

test('the configuration of one plugin becomes a list', () => {
  const text = '{"cniVersion":"0.3.1","name":"net","type":"bridge","ipam":{"type":"host-local"}}';
  const list = parseNetworkFile('10-net.conf', text);
  assert.equal(
    formatNetworkList(list),
    `{
  "name": "net",
  "cniVersion": "0.3.1",
  "plugins": [
    {
      "type": "bridge",
      "ipam": {
        "type": "host-local"
      }
    }
  ]
}
`,
  );
  // A list without a name would be no network any more.
  assert.equal(parseNetworkFile('10-net.json', '{"type":"bridge"}').fields.name, 'k8s-pod-network');
});

test('what a runtime would not take is refused with the reason', () => {
  for (const [name, text, reason] of [
    ['a.conflist', '{', /not JSON/],
    ['a.conflist', '', /not JSON/],
    ['a.conflist', '[]', /not a JSON object/],
    ['a.conflist', '{"plugins":[{"type":"bridge"}]}', /no "name"/],
    ['a.conflist', '{"name":"x","type":"bridge"}', /at least one plugin/],
    ['a.conflist', '{"name":"x","plugins":[]}', /at least one plugin/],
    ['a.conflist', '{"name":"x","plugins":[{"name":"x"}]}', /plugins\[0\] has no "type"/],
    ['a.conf', '{"name":"x","plugins":[{"type":"bridge"}]}', /no "type"; a list of plugins is read from a .conflist/],
    ['a.json', '{"name":"x"}', /no "type"/],
  ] as const)
    assert.throws(
      () => parseNetworkFile(name, text),
      (error) => error instanceof NetworkListError && reason.test(error.message),
      `${name}: ${text}`,
    );
});

test('the entry is read back as it was written, and newer field names are understood', () => {
  assert.deepEqual(readPluginEntry(entry), settings);
  const { agentNamespace: _, ...withoutAgent } = settings;
  assert.deepEqual(readPluginEntry({ type: 'istio-cni', plugin_log_level: 'debug', exclude_namespaces: ['a'] }), {
    ...withoutAgent,
    logLevel: 'debug',
    excludeNamespaces: ['a'],
  });
  assert.throws(() => readPluginEntry({ kubernetes: { exclude_namespaces: 'a' } }), /exclude_namespaces/);
});
