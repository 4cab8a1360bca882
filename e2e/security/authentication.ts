import assert from 'node:assert/strict';
import { test } from 'node:test';
import { proves } from '@istio-ts/xds/field-proof';
import { eventually, run, until } from '../support/shell.ts';
import { becomes, type Lab, type Namespace } from './lab.ts';

const namespaces: readonly Namespace[] = ['foo', 'bar', 'legacy'];
const httpbinOf = (namespace: string, path = '/ip') => `http://httpbin.${namespace}:8000${path}`;

const peerAuthentication = (name: string, spec: string) => `
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata:
  name: ${name}
spec:
${spec}
`;

/** The tasks "Authentication Policy" (mutual TLS), "Mutual TLS Migration", and what openssl sees of it. */
export function authentication(lab: () => Lab): void {
  /** Who gets an answer of whom: the statuses by client and server. */
  const matrix = async (servers: readonly Namespace[]): Promise<Readonly<Record<string, string>>> => {
    const pairs = namespaces.flatMap((from) => servers.map((to) => [from, to] as const));
    const seen = await Promise.all(pairs.map(([from, to]) => lab().status(from, httpbinOf(to))));
    return Object.fromEntries(pairs.map(([from, to], i) => [`${from} to ${to}`, seen[i] ?? '']));
  };
  const headers = async (from: string, ...args: readonly string[]) => {
    const text = await lab().curl(from, httpbinOf('foo', '/headers'), ...args);
    return (JSON.parse(text) as { readonly headers: Readonly<Record<string, string>> }).headers;
  };

  test('without any policy everybody is answered, and between sidecars it is mutual TLS', async () => {
    await becomes(
      'nine times 200',
      Object.fromEntries(namespaces.flatMap((from) => namespaces.map((to) => [`${from} to ${to}`, '200']))),
      () => matrix(namespaces),
      1,
    );
    await eventually('mutual TLS', async () =>
      assert.match(
        (await headers('bar'))['X-Forwarded-Client-Cert'] ?? '',
        /^By=spiffe:\/\/cluster\.local\/ns\/foo\/sa\/httpbin;Hash=[0-9a-f]{64};Subject="[^"]*";URI=spiffe:\/\/cluster\.local\/ns\/bar\/sa\/curl$/,
      ),
    );
    assert.equal((await headers('legacy'))['X-Forwarded-Client-Cert'], undefined);
  });

  test('who forges the header about client certificates is not believed, in the mesh and outside of it', async () => {
    const forged = 'By=spiffe://cluster.local/ns/foo/sa/httpbin;URI=spiffe://cluster.local/ns/foo/sa/admin';
    const header = ['-H', `X-Forwarded-Client-Cert: ${forged}`] as const;
    assert.equal((await headers('legacy', ...header))['X-Forwarded-Client-Cert'], undefined);
    const seen = (await headers('bar', ...header))['X-Forwarded-Client-Cert'] ?? '';
    assert.match(seen, /URI=spiffe:\/\/cluster\.local\/ns\/bar\/sa\/curl$/);
    assert.doesNotMatch(seen, /admin/);
  });

  test('authentication policy: mutual TLS for the whole mesh', async () => {
    proves('PeerAuthentication.spec.mtls.mode');
    await lab().apply(peerAuthentication('default', '  mtls:\n    mode: STRICT'), 'istio-system');
    await becomes('plain text refused in the mesh', ['000', '000', '200'], () =>
      Promise.all(namespaces.map((to) => lab().status('legacy', httpbinOf(to)))),
    );
    await eventually('how it is refused', async () => {
      const refused = await lab().exec('legacy', 'curl', '-sS', httpbinOf('foo'));
      assert.equal(refused.exitCode, 56, refused.stderr);
      assert.match(refused.stderr, /[Cc]onnection reset by peer/);
    });
    // Connections of the proxies from before the change end with it.
    await eventually('everybody in the mesh to be answered', async () => {
      const seen = await matrix(namespaces);
      for (const pair of ['foo to foo', 'foo to bar', 'bar to foo', 'bar to bar', 'foo to legacy', 'bar to legacy'])
        assert.equal(seen[pair], '200', pair);
    });
    await lab().remove('istio-system', 'peerauthentication/default');
    await becomes('plain text taken again', '200', () => lab().status('legacy', httpbinOf('foo')));
  });

  test('authentication policy: for a namespace', async () => {
    proves('PeerAuthentication.spec.mtls.mode');
    await lab().apply(peerAuthentication('default', '  mtls:\n    mode: STRICT'), 'foo');
    await becomes('only foo refuses', ['000', '200', '200'], () =>
      Promise.all(namespaces.map((to) => lab().status('legacy', httpbinOf(to)))),
    );
    await becomes('an answer', '200', () => lab().status('bar', httpbinOf('foo')));
  });

  test('authentication policy: for a workload, and for one of its ports', async () => {
    proves(
      'PeerAuthentication.spec.selector.matchLabels',
      'PeerAuthentication.spec.mtls.mode',
      'PeerAuthentication.spec.portLevelMtls[]',
    );
    const own = (more: string) =>
      peerAuthentication(
        'httpbin',
        `  selector:\n    matchLabels:\n      app: httpbin\n  mtls:\n    mode: STRICT\n${more}`,
      );
    await lab().apply(own(''), 'bar');
    const legacy = () => Promise.all(namespaces.map((to) => lab().status('legacy', httpbinOf(to))));
    await becomes('httpbin of bar refuses', ['000', '000', '200'], legacy);
    // The port of the container, not of the Service.
    await lab().apply(own('  portLevelMtls:\n    80:\n      mode: DISABLE'), 'bar');
    await becomes('its port 80 takes plain text', ['000', '200', '200'], legacy);
    // Its clients hear of it a moment before or after it.
    await becomes('clients with sidecars follow', '200', () => lab().status('foo', httpbinOf('bar')));
    await becomes('and speak plain text', false, async () =>
      (await lab().curl('foo', httpbinOf('bar', '/headers'))).includes('X-Forwarded-Client-Cert'),
    );
  });

  test('authentication policy: the workload’s goes before the namespace’s', async () => {
    proves('PeerAuthentication.spec.mtls.mode');
    await lab().apply(
      peerAuthentication('overwrite', '  selector:\n    matchLabels:\n      app: httpbin\n  mtls:\n    mode: DISABLE'),
      'foo',
    );
    await becomes('plain text is taken', '200', () => lab().status('legacy', httpbinOf('foo')));
    await becomes('from the mesh too', false, async () =>
      (await lab().curl('bar', httpbinOf('foo', '/headers'))).includes('X-Forwarded-Client-Cert'),
    );
    await lab().remove('foo', 'peerauthentication/default', 'peerauthentication/overwrite');
    await lab().remove('bar', 'peerauthentication/httpbin');
  });

  test('mutual TLS migration: PERMISSIVE, then STRICT by namespace, then for the mesh', async () => {
    const legacy = () => Promise.all(namespaces.map((to) => lab().status('legacy', httpbinOf(to))));
    await becomes('everybody', ['200', '200', '200'], legacy);
    await lab().apply(peerAuthentication('default', '  mtls:\n    mode: STRICT'), 'foo');
    await becomes('foo is locked', ['000', '200', '200'], legacy);
    // What travels is looked at as the task does, with tcpdump's view replaced by the metric: mutual TLS on the side of the server.
    await lab().apply(peerAuthentication('default', '  mtls:\n    mode: STRICT'), 'istio-system');
    await becomes('the mesh is locked', ['000', '000', '200'], legacy);
    const pod = await lab().cluster.podOf('foo', 'httpbin');
    const text = await lab().cluster.istioctl('experimental', 'describe', 'pod', `${pod}.foo`);
    assert.match(text, /STRICT/);
    await lab().remove('foo', 'peerauthentication/default');
    await lab().remove('istio-system', 'peerauthentication/default');
    await becomes('everybody again', ['200', '200', '200'], legacy);
  });

  test('openssl: TLS 1.3, the chain, the SPIFFE identity; STRICT has no plain text', async () => {
    proves('PeerAuthentication.spec.mtls.mode');
    await lab().apply(peerAuthentication('default', '  mtls:\n    mode: STRICT'), 'foo');
    const address = 'httpbin.foo.svc.cluster.local:8000';
    await becomes('plain text refused', '000', () => lab().status('legacy', httpbinOf('foo')));
    // A client with a certificate of the mesh: what the agent of this pod writes to files for its application.
    await lab().cluster.kubectl(
      ...['patch', '-n', 'bar', 'deploy/curl', '-p'],
      JSON.stringify({
        spec: {
          template: {
            metadata: {
              annotations: {
                'proxy.istio.io/config': 'proxyMetadata:\n  OUTPUT_CERTS: /etc/istio-output-certs\n',
                'sidecar.istio.io/userVolumeMount': '[{"name": "istio-certs", "mountPath": "/etc/istio-output-certs"}]',
              },
            },
            spec: {
              containers: [
                { name: 'curl', volumeMounts: [{ name: 'istio-certs', mountPath: '/etc/certs', readOnly: true }] },
              ],
              volumes: [{ name: 'istio-certs', emptyDir: { medium: 'Memory' } }],
            },
          },
        },
      }),
    );
    // The pods from before are ready, too: only the rollout tells.
    await lab().cluster.kubectl('rollout', 'status', '-n', 'bar', 'deploy/curl', '--timeout=300s');
    await lab().cluster.podsReady('bar');
    // As the user of the proxy, past it: what it would send goes straight to the server.
    const inProxy = async (command: string) => {
      const output = await lab().cluster.tryKubectl(
        ...['exec', '-n', 'bar', 'deploy/curl', '-c', 'istio-proxy', '--', 'sh', '-c', `${command} 2>&1`],
      );
      return `$ ${command}\n${output.stdout}`;
    };
    const ask = "printf 'GET /status/418 HTTP/1.1\\r\\nHost: httpbin\\r\\nConnection: close\\r\\n\\r\\n'";
    const sClient = (...args: readonly string[]) =>
      inProxy(`(${ask}; sleep 1) | openssl s_client -connect ${address} -alpn istio -ign_eof ${args.join(' ')}`);
    const certs = '/etc/istio-output-certs';
    const own = `-cert ${certs}/cert-chain.pem -key ${certs}/key.pem -CAfile ${certs}/root-cert.pem`;
    const transcript = await until('an answer over TLS', async () => {
      const text = await sClient('-showcerts', own);
      if (!/HTTP\/1\.1 418/.test(text)) throw new Error(text.slice(-2000));
      return text;
    });
    assert.match(transcript, /New, TLSv1\.3, Cipher is TLS_AES_/);
    assert.match(transcript, /Verification: OK|Verify return code: 0 \(ok\)/);
    assert.match(transcript, /ALPN protocol: istio|No ALPN negotiated/);
    const [leaf = ''] = /-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/.exec(transcript) ?? [];
    const { stdout: shown } = await run('openssl', ['x509', '-noout', '-text'], { input: leaf });
    assert.match(
      shown,
      /X509v3 Subject Alternative Name: critical\s+URI:spiffe:\/\/cluster\.local\/ns\/foo\/sa\/httpbin\n/,
    );
    assert.match(shown, /TLS Web Server Authentication, TLS Web Client Authentication/);
    await eventually('an answer over TLS 1.2', async () =>
      assert.match(await sClient(own, '-tls1_2'), /New, TLSv1\.2[\s\S]*HTTP\/1\.1 418/),
    );
    // What is older is not spoken, and nobody gets an answer without a certificate.
    assert.doesNotMatch(await sClient(own, "-tls1_1 -cipher 'DEFAULT@SECLEVEL=0'"), /HTTP\/1\.1 418/);
    const without = await sClient('-CAfile', `${certs}/root-cert.pem`);
    assert.doesNotMatch(without, /HTTP\/1\.1 418/);
    assert.match(without, /alert certificate required|alert handshake failure|alert number/);
    const plain = await lab().exec('legacy', 'curl', '-sS', httpbinOf('foo'));
    assert.match(plain.stderr, /reset by peer/);
    await lab().remove('foo', 'peerauthentication/default');
    await becomes('plain text again', '200', () => lab().status('legacy', httpbinOf('foo')));
  });
}
