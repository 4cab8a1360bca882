import assert from 'node:assert/strict';
import { it } from 'node:test';
import { parse } from 'yaml';
import { withContext, withoutContext } from './kubeconfig.ts';
import { checkMachine, PreflightError } from './preflight.ts';

const entry = {
  name: 'istio-local',
  server: 'https://127.0.0.1:6443',
  caCertificate: 'CA',
  clientCertificate: 'CERT',
  clientKey: 'KEY',
};
const existing = `# mine
apiVersion: v1
kind: Config
clusters:
- name: work
  cluster: { server: https://work }
contexts:
- name: work
  context: { cluster: work, user: me }
users:
- name: me
  user: { token: abc }
current-context: work
`;

it('adds a context to an empty file', () => {
  const config = parse(withContext('', entry));
  assert.equal(config['current-context'], 'istio-local');
  assert.equal(config.clusters[0].cluster.server, 'https://127.0.0.1:6443');
  assert.equal(Buffer.from(config.users[0].user['client-key-data'], 'base64').toString(), 'KEY');
});

it('keeps what is there, also comments, and takes only its own away', () => {
  const merged = withContext(existing, entry);
  assert.match(merged, /^# mine/);
  assert.deepEqual(
    parse(merged).contexts.map((context: { name: string }) => context.name),
    ['work', 'istio-local'],
  );
  assert.equal(withContext(merged, entry), merged);
  const after = parse(withoutContext(merged, 'istio-local'));
  assert.deepEqual(after.clusters, parse(existing).clusters);
  assert.equal(after['current-context'], '');
});

it('keeps the namespace the user chose', () => {
  const chosen = withContext('', entry).replace('user: istio-local\n', 'user: istio-local\n      namespace: shop\n');
  assert.equal(parse(withContext(chosen, entry)).contexts[0].context.namespace, 'shop');
});

it('says what is missing on the machine', () => {
  const machine = { platform: 'linux', uid: 0, hasProgram: () => true, filesystems: 'nodev\toverlay\n' };
  checkMachine(machine);
  assert.throws(() => checkMachine({ ...machine, uid: 1000 }), /root.*sudo/);
  assert.throws(() => checkMachine({ ...machine, platform: 'darwin' }), PreflightError);
  assert.throws(
    () => checkMachine({ ...machine, hasProgram: (name) => name !== 'nft' }),
    /missing programs: nft.*apt-get install nftables/,
  );
  assert.throws(() => checkMachine({ ...machine, filesystems: '' }), /overlay/);
});
