import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { type Cluster, givenKubeconfig } from '../support/cluster.ts';
import { eventually, run, until } from '../support/shell.ts';

const samples = join(import.meta.dirname, '..', '..', 'samples');

/** Mutual TLS without configuration: identities, plain text where a side has no proxy, cipher text between two proxies. */
export function mutualTls(cluster: () => Cluster): void {
  const pod = (namespace: string, app: string) => cluster().podOf(namespace, app);
  const curl = async (namespace: string, url: string) => {
    const name = await pod(namespace, 'sleep');
    const output = await cluster().tryKubectl(
      'exec',
      '-n',
      namespace,
      name,
      '-c',
      'sleep',
      '--',
      'curl',
      '-sS',
      '-m',
      '10',
      '-w',
      '\n%{http_code}',
      url,
    );
    return output.stdout + output.stderr;
  };

  test('a client in the mesh and one outside of it', async () => {
    for (const namespace of ['inside', 'outside']) await cluster().kubectl('create', 'ns', namespace);
    await cluster().kubectl('label', 'ns', 'inside', 'istio-injection=enabled');
    await cluster().apply(readFileSync(join(samples, 'sleep', 'sleep.yaml'), 'utf8'), 'inside');
    await cluster().apply(readFileSync(join(samples, 'httpbin', 'httpbin.yaml'), 'utf8'), 'inside');
    await cluster().apply(readFileSync(join(samples, 'sleep', 'sleep.yaml'), 'utf8'), 'outside');
    await cluster().podsReady('inside');
    assert.match(await cluster().podsReady('outside'), /1\/1/);
  });

  test('the certificate carries the SPIFFE identity of the service account', async () => {
    const name = await pod('inside', 'httpbin');
    const secrets = await cluster().istioctl('proxy-config', 'secret', `${name}.inside`);
    assert.match(secrets, /default\s+Cert Chain\s+ACTIVE\s+true/);
    assert.match(secrets, /ROOTCA\s+CA\s+ACTIVE\s+true/);
    const json = JSON.parse(await cluster().istioctl('proxy-config', 'secret', `${name}.inside`, '-o', 'json')) as {
      readonly dynamicActiveSecrets: readonly {
        readonly name: string;
        readonly secret: { readonly tlsCertificate?: { readonly certificateChain: { readonly inlineBytes: string } } };
      }[];
    };
    const chain =
      json.dynamicActiveSecrets.find((secret) => secret.name === 'default')?.secret.tlsCertificate?.certificateChain
        .inlineBytes ?? '';
    const text = await run('openssl', ['x509', '-noout', '-text'], {
      input: Buffer.from(chain, 'base64').toString('utf8'),
    });
    assert.match(text.stdout, /URI:spiffe:\/\/cluster\.local\/ns\/inside\/sa\/httpbin/, text.stderr);
  });

  test('between sidecars the client is known by its identity', async () => {
    const answer = await until('the mesh to answer', async () => {
      const body = await curl('inside', 'http://httpbin:8000/headers');
      return body.endsWith('200') ? body : undefined;
    });
    assert.match(answer, /X-Forwarded-Client-Cert.*URI=spiffe:\/\/cluster\.local\/ns\/inside\/sa\/sleep/);
  });

  test('plain text from a pod without sidecar works (PERMISSIVE)', async () => {
    await eventually('an answer', async () => {
      const answer = await curl('outside', 'http://httpbin.inside:8000/headers');
      assert.match(answer, /200$/);
      assert.doesNotMatch(answer, /X-Forwarded-Client-Cert/);
    });
  });

  test('STRICT refuses plain text and keeps mutual TLS working', async () => {
    const policy =
      'apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: default}\nspec: {mtls: {mode: STRICT}}\n';
    await cluster().apply(policy, 'inside');
    await until('plain text to be refused', async () =>
      /200$/.test(await curl('outside', 'http://httpbin.inside:8000/headers')) ? undefined : true,
    );
    // Connections from before the change end with it, so a single request may fail.
    await eventually('mutual TLS to work', async () =>
      assert.match(await curl('inside', 'http://httpbin:8000/headers'), /200$/),
    );
    await cluster().kubectl('delete', 'peerauthentication', '-n', 'inside', 'default');
    await until('plain text to be let in again', async () =>
      /200$/.test(await curl('outside', 'http://httpbin.inside:8000/headers')) ? true : undefined,
    );
  });

  test('what travels between two sidecars is TLS', async (context) => {
    if ((await run('tcpdump', ['--version'])).exitCode !== 0) return context.skip('tcpdump is not on this machine');
    if (givenKubeconfig !== undefined && !process.env.E2E_LOAD_BALANCERS)
      return context.skip('the tests do not run in the network of the node');
    const address = (
      await cluster().kubectl(
        'get',
        'pod',
        '-n',
        'inside',
        '-l',
        'app=httpbin',
        '-o',
        'jsonpath={.items[0].status.podIP}',
      )
    ).trim();
    const marker = 'this-must-not-be-readable';
    const capture = async (namespace: string): Promise<Buffer> => {
      const chunks: Buffer[] = [];
      const child: ChildProcess = spawn(
        'nsenter',
        [
          `--net=${givenKubeconfig === undefined ? `/run/netns/${cluster().name}` : '/proc/self/ns/net'}`,
          '--',
          'tcpdump',
          '-i',
          'any',
          '-U',
          '-s',
          '0',
          '-w',
          '-',
          `host ${address} and tcp`,
        ],
        { stdio: ['ignore', 'pipe', 'pipe'] },
      );
      child.stdout?.on('data', (chunk: Buffer) => chunks.push(chunk));
      await new Promise<void>((resolve) =>
        child.stderr?.on('data', (chunk: Buffer) => chunk.includes('listening on') && resolve()),
      );
      assert.match(await curl(namespace, `http://httpbin.inside:8000/anything/${marker}`), /200$/);
      // tcpdump writes what it sees in its own time: all of it is there when nothing more comes.
      let length = 0;
      await until(
        'captured packets',
        async () => {
          const before = length;
          length = Buffer.concat(chunks).length;
          return length > 2000 && length === before ? true : undefined;
        },
        undefined,
        2000,
      );
      const ended = new Promise((resolve) => child.once('close', resolve));
      child.kill('SIGTERM');
      await ended;
      return Buffer.concat(chunks);
    };
    assert.ok(
      (await capture('outside')).includes(marker),
      'without a sidecar the request is readable: the capture works',
    );
    const cipher = await capture('inside');
    assert.ok(!cipher.includes(marker));
    // A TLS record of application data: type 23, version 3.3.
    assert.ok(cipher.includes(Buffer.from([0x17, 0x03, 0x03])));
  });
}
