import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { proves } from '@istio-ts/xds/field-proof';
import type { Cluster } from '../support/cluster.ts';
import { run, until } from '../support/shell.ts';
import { becomes, type Lab, startLab } from './lab.ts';

const tools = join(import.meta.dirname, '..', '..', 'tools', 'certs');

/** The tasks "Plug in CA Certificates" and "Trust Domain Migration", on a mesh that is installed with both. */
export function ownAuthority(cluster: () => Cluster): void {
  const folder = mkdtempSync(join(tmpdir(), 'istio-ts-own-authority-'));
  after(() => rmSync(folder, { recursive: true, force: true }));
  let lab: Lab;
  const url = 'http://httpbin.foo:8000/ip';
  const make = async (target: string) => {
    const { exitCode, stderr } = await run('make', ['-C', folder, '-f', join(tools, 'Makefile.selfsigned.mk'), target]);
    assert.equal(exitCode, 0, stderr);
  };

  test('plug in CA certificates: made with tools/certs, in the Secret cacerts, before the installation', async () => {
    await make('root-ca');
    await make('cluster1-cacerts');
    await cluster().kubectl('create', 'namespace', 'istio-system');
    const files = ['ca-cert.pem', 'ca-key.pem', 'root-cert.pem', 'cert-chain.pem'];
    await cluster().kubectl(
      ...['create', 'secret', 'generic', 'cacerts', '-n', 'istio-system'],
      ...files.map((file) => `--from-file=${join(folder, 'cluster1', file)}`),
    );
    lab = await startLab(cluster(), '--set', 'meshConfig.trustDomain=old-td');
    for (const namespace of ['foo', 'bar', 'legacy'])
      await lab.applySamples(namespace, 'httpbin/httpbin.yaml', 'curl/curl.yaml');
    for (const namespace of ['foo', 'bar', 'legacy']) await cluster().podsReady(namespace);
    await becomes('an answer', '200', () => lab.status('bar', url));
  });

  test('plug in CA certificates: what a workload shows is signed by them', async () => {
    const { stdout } = await cluster().tryKubectl(
      ...['exec', '-n', 'foo', 'deploy/curl', '-c', 'istio-proxy', '--'],
      ...['sh', '-c', 'openssl s_client -showcerts -connect httpbin.foo:8000 -alpn istio </dev/null'],
    );
    const shown = stdout.match(/-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g) ?? [];
    const same = async (pem: string | undefined) =>
      (await run('openssl', ['x509', '-noout', '-fingerprint', '-sha256'], { input: pem ?? '' })).stdout;
    const file = (name: string) => readFileSync(join(folder, 'cluster1', name), 'utf8');
    assert.equal(shown.length, 3, stdout);
    assert.equal(await same(shown[1]), await same(file('ca-cert.pem')), 'the intermediate authority');
    assert.equal(await same(shown[2]), await same(file('root-cert.pem')), 'the root, which cert-chain.pem has, too');
    const chain = await run(
      'openssl',
      ['verify', '-CAfile', join(folder, 'root-cert.pem'), '-untrusted', join(folder, 'cluster1', 'ca-cert.pem')],
      { input: shown[0] ?? '' },
    );
    assert.match(chain.stdout, /OK/, chain.stderr);
    const { stdout: text } = await run('openssl', ['x509', '-noout', '-text'], { input: shown[0] ?? '' });
    assert.match(text, /URI:spiffe:\/\/old-td\/ns\/foo\/sa\/httpbin\n/);
    const root = await cluster().kubectl(
      ...['get', 'cm', 'istio-ca-root-cert', '-n', 'legacy', '-o', 'jsonpath={.data.root-cert\\.pem}'],
    );
    assert.equal(await same(root), await same(file('root-cert.pem')), 'distributed to each namespace');
  });

  test('trust domain migration: policies name identities of a domain, aliases make them go on', async () => {
    proves(
      'MeshConfig.trustDomain',
      'MeshConfig.trustDomainAliases',
      'AuthorizationPolicy.spec.rules[].from[].source.principals',
    );
    await lab.apply(`
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata:
  name: service-httpbin.foo.svc.cluster.local
spec:
  selector:
    matchLabels:
      app: httpbin
  rules:
    - from:
        - source:
            principals: ["old-td/ns/bar/sa/curl"]
      to:
        - operation:
            methods: ["GET"]
`);
    const seen = async () => `bar ${await lab.status('bar', url)}, foo ${await lab.status('foo', url)}`;
    await becomes('bar is allowed', 'bar 200, foo 403', seen);
    const install = async (...settings: readonly string[]) => {
      await cluster().istioctl(
        ...['install', '--set', 'profile=demo', '--set', 'meshConfig.trustDomain=new-td', ...settings, '-y'],
      );
      await cluster().kubectl('rollout', 'restart', '-n', 'istio-system', 'deploy/istiod');
      await cluster().kubectl('rollout', 'status', '-n', 'istio-system', 'deploy/istiod');
    };
    await install();
    for (const namespace of ['foo', 'bar'])
      await cluster().kubectl('rollout', 'restart', '-n', namespace, 'deploy/httpbin', 'deploy/curl');
    for (const namespace of ['foo', 'bar'])
      for (const app of ['httpbin', 'curl'])
        await cluster().kubectl('rollout', 'status', '-n', namespace, `deploy/${app}`);
    await becomes('nobody is of the old domain', 'bar 403, foo 403', seen);
    await install('--set', 'meshConfig.trustDomainAliases[0]=old-td');
    await becomes('the old name is one of the new', 'bar 200, foo 403', seen);
    const identity = await until('the identity of httpbin', async () => {
      const pod = await cluster().podOf('foo', 'httpbin');
      const json = await cluster().istioctl('proxy-config', 'secret', `${pod}.foo`, '-o', 'json');
      const chain = /"inlineBytes": ?"([^"]+)"/.exec(json)?.[1] ?? '';
      const input = Buffer.from(chain, 'base64').toString('utf8');
      const { stdout } = await run('openssl', ['x509', '-noout', '-text'], { input });
      return /URI:(\S+)/.exec(stdout)?.[1];
    });
    assert.equal(identity, 'spiffe://new-td/ns/foo/sa/httpbin');
  });
}
