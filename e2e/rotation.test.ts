import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { describe, type TestContext, test } from 'node:test';
import {
  type AuthorityMaterial,
  createIntermediate,
  createRevocationList,
  createRootCertificate,
  describeCertificate,
  splitCertificates,
} from '@istio-ts/security';
import { obstacle } from './support/cluster.ts';
import { ownCluster } from './support/own-cluster.ts';
import { eventually, until } from './support/shell.ts';

const reason = obstacle();

/** Answers every request. */
const server = `require('http').createServer((request, response) => response.end('served')).listen(8080);`;

/** Sends a request every few milliseconds without end, and tells on port 9090 what came of them. */
const load = `
const http = require('http');
const told = { served: 0, failures: [] };
let open = 0;
const agent = new http.Agent({ keepAlive: true });
const ask = () => {
  // Not more at once than a slow machine gets done within the time of a request.
  if (open >= 20) return;
  open++;
  const failed = (why) => told.failures.push(new Date().toISOString() + ' ' + why);
  const request = http.get({ host: 'server', port: 80, path: '/', agent, timeout: 30000 }, (response) => {
    let text = '';
    response.on('data', (part) => (text += part));
    response.on('end', () => (response.statusCode === 200 ? told.served++ : failed(response.statusCode + ' ' + text)));
  });
  request.on('timeout', () => request.destroy(new Error('no answer')));
  request.on('error', (error) => failed(error.message));
  request.on('close', () => open--);
};
let timer;
http.createServer((request, response) => {
  if (request.url === '/start') timer ??= setInterval(ask, 40);
  if (request.url === '/stop') timer = clearInterval(timer);
  response.end(JSON.stringify(told));
}).listen(9090, '127.0.0.1');
`;

const pod = (name: string, program: string) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, labels: { app: name } },
  spec: {
    terminationGracePeriodSeconds: 1,
    containers: [{ name: 'app', image: 'busybox', imagePullPolicy: 'IfNotPresent', command: ['node', '-e', program] }],
  },
});
const list = (...items: readonly object[]): string => JSON.stringify({ apiVersion: 'v1', kind: 'List', items });
const objects = list(
  {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'server' },
    spec: { selector: { app: 'server' }, ports: [{ name: 'http', port: 80, targetPort: 8080 }] },
  },
  {
    apiVersion: 'security.istio.io/v1',
    kind: 'PeerAuthentication',
    metadata: { name: 'strict' },
    spec: { mtls: { mode: 'STRICT' } },
  },
  // Every request is a TLS handshake of its own between the proxies: certificates and anchors have to fit at each moment.
  {
    apiVersion: 'networking.istio.io/v1',
    kind: 'DestinationRule',
    metadata: { name: 'server' },
    spec: {
      host: 'server.default.svc.cluster.local',
      trafficPolicy: { connectionPool: { http: { maxRequestsPerConnection: 1 } } },
    },
  },
  {
    apiVersion: 'networking.istio.io/v1',
    kind: 'Gateway',
    metadata: { name: 'door' },
    spec: {
      selector: { istio: 'ingressgateway' },
      servers: [{ port: { number: 80, name: 'http', protocol: 'HTTP' }, hosts: ['*'] }],
    },
  },
  {
    apiVersion: 'networking.istio.io/v1',
    kind: 'VirtualService',
    metadata: { name: 'door' },
    spec: {
      hosts: ['*'],
      gateways: ['door'],
      http: [{ route: [{ destination: { host: 'server.default.svc.cluster.local' } }] }],
    },
  },
);

interface Told {
  readonly served: number;
  readonly failures: readonly string[];
}

/** The same load from outside, through the ingress gateway. */
function outsideLoad(url: string): { stop(): Promise<Told> } {
  const told = { served: 0, failures: [] as string[] };
  const open = new Set<Promise<void>>();
  const ask = async (): Promise<void> => {
    try {
      const response = await fetch(url, { signal: AbortSignal.timeout(30_000) });
      const text = await response.text();
      if (response.ok) told.served++;
      else told.failures.push(`${new Date().toISOString()} ${response.status} ${text}`);
    } catch (error) {
      told.failures.push(`${new Date().toISOString()} ${error instanceof Error ? error.message : error}`);
    }
  };
  const timer = setInterval(() => {
    if (open.size >= 20) return;
    const one = ask().finally(() => open.delete(one));
    open.add(one);
  }, 40);
  return {
    stop: async () => {
      clearInterval(timer);
      await Promise.all(open);
      return told;
    },
  };
}

const now = () => new Date();
const subjects = (bundle: string): readonly string[] =>
  splitCertificates(bundle).map((pem) => new X509Certificate(pem).subject.replace('\n', ', '));

describe('rotation under load', { skip: reason ?? false }, () => {
  const cluster = ownCluster(async ({ istioctl, kubectl, apply, podsReady }) => {
    const env = {
      DEFAULT_WORKLOAD_CERT_TTL: '20s',
      MAX_WORKLOAD_CERT_TTL: '20s',
      CITADEL_SELF_SIGNED_CA_CERT_TTL: '3m',
      CITADEL_SELF_SIGNED_ROOT_CERT_GRACE_PERIOD_PERCENTILE: '50',
      CITADEL_SELF_SIGNED_ROOT_CERT_CHECK_INTERVAL: '2s',
    };
    await istioctl(
      ...['install', '-y', '--set', 'profile=default'],
      ...Object.entries(env).flatMap(([name, value]) => ['--set', `values.pilot.env.${name}=${value}`]),
      ...['--set', 'meshConfig.defaultConfig.proxyMetadata.SECRET_TTL=20s'],
    );
    await kubectl('label', 'namespace', 'default', 'istio-injection=enabled');
    await apply(objects);
    await apply(list(pod('server', server), pod('client', load)));
    await podsReady('default');
    await podsReady('istio-system');
  });

  const command = async (path: string): Promise<Told> =>
    JSON.parse(
      await cluster().kubectl(...['exec', 'client', '-c', 'app', '--', 'curl', '-s', `http://127.0.0.1:9090/${path}`]),
    ) as Told;

  interface Shown {
    readonly serial: string;
    readonly issuer: string;
    readonly roots: readonly string[];
  }
  /** What the Envoy of a pod shows to others and trusts, by istioctl. */
  async function shown(where: string): Promise<Shown> {
    const { dynamicActiveSecrets } = JSON.parse(
      await cluster().istioctl('proxy-config', 'secret', where, '-o', 'json'),
    ) as {
      readonly dynamicActiveSecrets: readonly {
        readonly name: string;
        readonly secret: {
          readonly tlsCertificate?: { readonly certificateChain: { readonly inlineBytes: string } };
          readonly validationContext?: { readonly trustedCa: { readonly inlineBytes: string } };
        };
      }[];
    };
    const secret = (name: string) => dynamicActiveSecrets.find((one) => one.name === name)?.secret;
    const text = (base64: string | undefined) => Buffer.from(base64 ?? '', 'base64').toString();
    const leaf = new X509Certificate(text(secret('default')?.tlsCertificate?.certificateChain.inlineBytes));
    return {
      serial: leaf.serialNumber,
      issuer: leaf.issuer.replace('\n', ', '),
      roots: splitCertificates(text(secret('ROOTCA')?.validationContext?.trustedCa.inlineBytes)),
    };
  }
  const everybody = async (): Promise<readonly string[]> => [
    'client.default',
    'server.default',
    `${await cluster().podOf('istio-system', 'istio-ingressgateway')}.istio-system`,
  ];
  const all = (what: string, holds: (shown: Shown) => boolean) =>
    until(
      what,
      async () => {
        const states = await Promise.all((await everybody()).map(shown));
        if (!states.every(holds))
          throw new Error(JSON.stringify(states.map(({ issuer, roots }) => [issuer, roots.length])));
        return states;
      },
      240_000,
    );
  const secretData = async (name: string): Promise<Readonly<Record<string, string>>> => {
    const { data } = JSON.parse(await cluster().kubectl('-n', 'istio-system', 'get', 'secret', name, '-o', 'json')) as {
      readonly data: Readonly<Record<string, string>>;
    };
    return Object.fromEntries(Object.entries(data).map(([key, text]) => [key, Buffer.from(text, 'base64').toString()]));
  };
  const plugIn = (material: AuthorityMaterial, revocations = '') =>
    cluster().apply(
      JSON.stringify({
        apiVersion: 'v1',
        kind: 'Secret',
        metadata: { name: 'cacerts' },
        stringData: {
          'ca-cert.pem': material.certificate,
          'ca-key.pem': material.key,
          'cert-chain.pem': material.chain,
          'root-cert.pem': material.root,
          'ca-crl.pem': revocations,
        },
      }),
      'istio-system',
    );

  /** Root and intermediate of the plugged-in CA, once there is one. */
  let pluggedIn: readonly AuthorityMaterial[] = [];

  /** Runs work while load comes from a sidecar and through the gateway; not one request may fail. */
  async function underLoad(t: TestContext, work: () => Promise<void>): Promise<void> {
    const gateway = await cluster().loadBalancer('istio-system', 'istio-ingressgateway');
    const url = `http://${gateway}/`;
    await eventually('the gateway and the server to answer', async () => {
      for (let turn = 0; turn < 6; turn++) {
        assert.equal((await fetch(url, { signal: AbortSignal.timeout(10_000) })).status, 200);
        await cluster().kubectl(...['exec', 'client', '-c', 'app', '--', 'curl', '-sf', '-m', '10', 'http://server/']);
      }
    });
    const before = await command('start');
    const outside = outsideLoad(url);
    try {
      await work();
    } finally {
      await command('stop');
    }
    const through = await outside.stop();
    const inside = await until('the last answers', async () => {
      const first = await command('');
      return (await command('')).served === first.served ? first : undefined;
    });
    t.diagnostic(
      `${inside.served - before.served} requests from sidecar to sidecar, ${through.served} through the gateway, each with a handshake of its own; ${inside.failures.length - before.failures.length} and ${through.failures.length} failed`,
    );
    assert.deepEqual(inside.failures.slice(0, 5), before.failures.slice(0, 5));
    assert.deepEqual(through.failures.slice(0, 5), []);
    assert.ok(inside.served - before.served > 100 && through.served > 100);
  }

  test('certificates of workloads are renewed, and so is the self-signed root: no request fails', async (t) => {
    await underLoad(t, async () => {
      const first = await Promise.all((await everybody()).map(shown));
      await all('new certificates', ({ serial }) => !first.some((one) => one.serial === serial));
      const { 'ca-cert.pem': old = '' } = await secretData('istio-ca-secret');
      // Trusted before it signs.
      await all('the successor of the root to be trusted', ({ roots }) => roots.includes(old) && roots.length > 1);
      const fresh = await until(
        'the successor to sign',
        async () => {
          const { 'ca-cert.pem': now = old } = await secretData('istio-ca-secret');
          return now === old ? undefined : now;
        },
        120_000,
      );
      await all('certificates of the new root', ({ roots }) => roots.includes(fresh));
      await all('the old root to be gone', ({ roots }) => !roots.includes(old));
    });
  });

  test('a CA is plugged in, its intermediate and its root are replaced, all without a restart: no request fails', async (t) => {
    const istiod = await cluster().kubectl('-n', 'istio-system', 'get', 'pods', '-l', 'app=istiod', '-o', 'name');
    const root = createRootCertificate({ organization: 'operator', now: now() });
    const intermediate = (parent: AuthorityMaterial, commonName: string) =>
      createIntermediate(parent, { organization: 'operator', commonName, now: now() });
    await underLoad(t, async () => {
      const { 'root-cert.pem': selfSigned = '' } = await secretData('istio-ca-secret');
      const first = intermediate(root, 'first');
      await plugIn({ ...first, root: root.root + selfSigned });
      const issuedBy = (name: string) => all(`certificates of ${name}`, ({ issuer }) => issuer.includes(`CN=${name}`));
      await issuedBy('first');

      await plugIn(first);
      await all('the self-signed root to be gone', ({ roots }) => subjects(roots.join('')).join() === 'O=operator');
      await plugIn(intermediate(root, 'second'));
      await issuedBy('second');

      const next = createRootCertificate({ organization: 'next', now: now() });
      const third = intermediate(next, 'third');
      await plugIn({ ...third, root: root.root + next.root });
      await all('both roots', ({ roots }) => roots.length === 2);
      await issuedBy('third');
      await plugIn(third);
      pluggedIn = [next, third];
      await all('the new root alone', ({ roots }) => subjects(roots.join('')).join() === 'O=next');
    });
    assert.equal(
      await cluster().kubectl('-n', 'istio-system', 'get', 'pods', '-l', 'app=istiod', '-o', 'name'),
      istiod,
      'istiod is the same as before',
    );
  });

  test('proxies follow the revocation list of the plugged-in CA', async () => {
    const [root, intermediate] = pluggedIn;
    assert.ok(root && intermediate, 'the CA is plugged in by the test before');
    const list = (authority: AuthorityMaterial, serials: readonly string[]): string =>
      createRevocationList(authority, { serials, ttl: 3_600_000, now: now() });
    const status = async (expected: string, why: string) =>
      until(why, async () => {
        const { stdout } = await cluster().tryKubectl(
          ...['exec', 'client', '-c', 'app', '--', 'curl', '-s', '-o', '/dev/null', '-w', '%{http_code}'],
          ...['--max-time', '5', 'http://server/'],
        );
        if (stdout !== expected) throw new Error(stdout);
        return true;
      });
    const { serial } = describeCertificate(intermediate.certificate);
    await plugIn(intermediate, list(root, [serial]) + list(intermediate, []));
    await status('503', 'certificates of the revoked intermediate to be refused');
    await plugIn(intermediate, list(root, []) + list(intermediate, []));
    await status('200', 'certificates of the intermediate to be taken with a list that does not name it');
    await plugIn(intermediate);
    await status('200', 'certificates to be taken without a list');
  });

  test('what cannot be used is refused, and what follows the root follows it', async () => {
    const { kubectl, istioctl, apply, podsReady } = cluster();
    const { 'root-cert.pem': root = '', ...rest } = await secretData('cacerts');
    const stranger = createRootCertificate({ organization: 'stranger', now: now() });
    await plugIn({ certificate: rest['ca-cert.pem'] ?? '', key: stranger.key, chain: '', root });
    await until('istiod to say why', async () =>
      /last good one stays.*ca-key\.pem: the key does not belong/.test(
        await kubectl('-n', 'istio-system', 'logs', '-l', 'app=istiod', '--tail=-1'),
      )
        ? true
        : undefined,
    );
    await eventually('the metric and the root of the namespace', async () => {
      assert.match(
        await kubectl(
          ...['exec', 'client', '-c', 'app', '--', 'curl', '-s', 'http://istiod.istio-system:15014/metrics'],
        ),
        /istiod_ca_loads_total\{outcome="refused"\} 1/,
      );
      const { data } = JSON.parse(await kubectl('get', 'configmap', 'istio-ca-root-cert', '-o', 'json')) as {
        readonly data: Readonly<Record<string, string>>;
      };
      assert.deepEqual(splitCertificates(data['root-cert.pem'] ?? ''), splitCertificates(root));
    });
    // The API server trusts istiod's webhook, and a new pod gets a certificate.
    await apply(list(pod('late', server)));
    await podsReady('default', 'app=late');
    assert.match(
      await istioctl('proxy-config', 'rootca-compare', 'late.default', 'client.default'),
      /identical ROOTCA/,
    );
  });
});
