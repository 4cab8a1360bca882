import assert from 'node:assert/strict';
import { networkInterfaces } from 'node:os';
import { after, before, describe, it } from 'node:test';
import { type DeltaDiscoveryRequest, type DeltaDiscoveryResponse, decode, encode } from '@istio-ts/envoy';
import { type GrpcChannel, openGrpcChannel } from '@istio-ts/envoy/grpc';
import type { KubeObject } from '@istio-ts/kube';
import { createCsr, exportPrivateKey, generatePrivateKey } from '@istio-ts/security';
import { selfSigned } from '@istio-ts/xds/testing/certificate';
import { istioObject, secretObject, serviceObject } from '@istio-ts/xds/testing/objects';
import { TypeUrl } from '../ads/resource-kinds.ts';
import { eventually } from '@istio-ts/envoy/testing/eventually';
import { type RunningIstiod, secretsType, serviceAccount, startIstiod } from './istiod.test-support.ts';

/** No key and no token of anybody in logs, dumps and metrics, and nothing of a namespace for another one; asked from elsewhere than istiod's machine. */

const address = Object.values(networkInterfaces())
  .flat()
  .find((one) => one?.family === 'IPv4' && !one.internal)?.address;
const site = selfSigned('site.example.com');
const ADS = '/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources';
const CSR = '/istio.v1.auth.IstioCertificateService/CreateCertificate';

const role = (verbs: readonly string[]): readonly KubeObject[] => [
  {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'Role',
    metadata: { name: 'gateway', namespace: 'edge' },
    rules: [{ apiGroups: [''], resources: ['secrets'], verbs }],
  },
  {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'RoleBinding',
    metadata: { name: 'gateway', namespace: 'edge' },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'gateway' },
    subjects: [{ kind: 'ServiceAccount', name: 'gateway', namespace: 'edge' }],
  },
];

describe('secrets and debug endpoints', {
  skip: address === undefined && 'this machine has no address but loopback',
}, () => {
  let istiod: RunningIstiod;
  let root = '';
  /** What must be nowhere: by what it is. */
  const secrets = new Map<string, string>();
  const channels: GrpcChannel[] = [];
  const seen: string[] = [];

  before(async () => {
    istiod = await startIstiod({
      host: address ?? '',
      args: ['--log_output_level=all:debug', '--log_stacktrace_level=all:debug'],
      objects: [
        serviceObject({ name: 'web', namespace: 'shop' }, [{ name: 'http', port: 80 }]),
        serviceAccount('edge', 'gateway'),
        serviceAccount('shop', 'cart'),
        ...role(['get', 'list', 'watch']),
        secretObject({ name: 'site', namespace: 'edge' }, { 'tls.crt': site.certificate, 'tls.key': site.key }),
        secretObject(
          { name: 'broken', namespace: 'edge' },
          { 'tls.crt': 'no certificate', 'tls.key': 'MARKED-BROKEN-KEY' },
        ),
        istioObject(
          'Gateway',
          { name: 'public', namespace: 'edge' },
          {
            selector: { istio: 'ingressgateway' },
            servers: ['site', 'broken'].map((credentialName, index) => ({
              port: { number: 443 + index, name: `https-${index}`, protocol: 'HTTPS' },
              hosts: [`${credentialName}.example.com`],
              tls: { mode: 'SIMPLE', credentialName },
            })),
          },
        ),
      ],
    });
    await eventually('the root certificate', async () => {
      const { status, body } = await istiod.api.call('GET', '/api/v1/namespaces/default/configmaps/istio-ca-root-cert');
      root = status === 200 ? body.data['root-cert.pem'] : '';
      return root !== '';
    });
    secrets.set('key of a gateway', site.key.split('\n')[1] ?? '');
    secrets.set('key that is none', 'MARKED-BROKEN-KEY');
    const { items } = await istiod.client.list(secretsType, { namespace: 'istio-system' });
    for (const { metadata, data } of items)
      for (const [key, value] of Object.entries((data ?? {}) as Record<string, string>))
        if (/key/.test(key) && value !== '')
          secrets.set(`${metadata.name} ${key}`, Buffer.from(value, 'base64').toString().split('\n')[1] ?? '');
    assert.ok(secrets.size >= 3);
  });
  after(async () => {
    for (const channel of channels) channel.close();
    await istiod?.close();
  });

  const channel = (tls: { key?: string; cert?: string } = {}): GrpcChannel => {
    const opened = openGrpcChannel({
      kind: 'tls',
      host: address ?? '',
      port: istiod.ports.secureGrpc,
      serverName: 'istiod.istio-system.svc',
      tls: { ...tls, ca: root },
    });
    channels.push(opened);
    return opened;
  };
  const tokenOf = async (namespace: string, account: string): Promise<string> => {
    const token = await istiod.token(namespace, account, ['istio-ca']);
    secrets.set(`token of ${namespace}/${account}`, token.split('.')[2] ?? '');
    return token;
  };
  /** A certificate as an agent gets it. */
  const certificate = async (namespace: string, account: string) => {
    const key = generatePrivateKey();
    const pem = exportPrivateKey(key);
    secrets.set(`key of ${namespace}/${account}`, pem.split('\n')[1] ?? '');
    const metadata = { authorization: `Bearer ${await tokenOf(namespace, account)}` };
    const request = encode('istio.v1.auth.IstioCertificateRequest', {
      csr: createCsr(key, []),
      validityDuration: '3600',
    });
    const answer = decode('istio.v1.auth.IstioCertificateResponse', await channel().unary(CSR, request, { metadata }));
    return { key: pem, cert: (answer.certChain ?? []).join('') };
  };
  const connect = async (opened: GrpcChannel, type: string, name: string, namespace: string) => {
    const stream = await opened.stream(ADS);
    const messages = stream.messages();
    const node = {
      id: `${type}~10.8.8.8~${name}.${namespace}~${namespace}.svc.cluster.local`,
      metadata: { NAMESPACE: namespace, LABELS: { istio: 'ingressgateway' } },
    };
    return async (
      typeUrl: string,
      names: readonly string[] = [],
      complete: (response: DeltaDiscoveryResponse) => boolean = () => true,
    ): Promise<DeltaDiscoveryResponse> => {
      const request = { node, typeUrl, resourceNamesSubscribe: names } as DeltaDiscoveryRequest;
      await stream.write(encode('envoy.service.discovery.v3.DeltaDiscoveryRequest', request));
      for (;;) {
        const { value, done } = await messages.next();
        assert.ok(!done);
        const response = decode('envoy.service.discovery.v3.DeltaDiscoveryResponse', value);
        if (complete(response)) return response;
        const taken = { typeUrl, responseNonce: response.nonce };
        await stream.write(encode('envoy.service.discovery.v3.DeltaDiscoveryRequest', taken));
      }
    };
  };

  it('a gateway gets its key, and its namespace the dump without it; others get neither', async () => {
    const own = await certificate('edge', 'gateway');
    const ask = await connect(channel(own), 'router', 'gateway', 'edge');
    // Not before the API server has said that the account may read it.
    const given = await ask(TypeUrl.secret, ['kubernetes://site'], ({ resources }) => (resources?.length ?? 0) > 0);
    assert.match(JSON.stringify(given), new RegExp(Buffer.from(site.key).toString('base64').slice(0, 60)));

    const question = '/debug/config_dump?proxyID=gateway.edge';
    const foreign = await tokenOf('shop', 'cart');
    const owner = await tokenOf('edge', 'gateway');
    assert.equal((await istiod.get('http', question)).status, 403);
    assert.equal((await istiod.get('http', question, 'nonsense')).status, 403);
    assert.equal((await istiod.get('http', question, foreign)).status, 403);
    const dump = await istiod.get('http', question, owner);
    assert.equal(dump.status, 200);
    assert.match(dump.body, /kubernetes:\/\/site/);
    seen.push(dump.body);
    for (const command of ['syncz', 'registryz', 'configz', 'endpointz', 'connections', 'adsz'])
      assert.equal((await istiod.get('http', `/debug/${command}`, owner)).status, 403, command);

    // The same questions over xDS, with certificates.
    const stranger = await certificate('shop', 'cart');
    const asStranger = await connect(channel(stranger), 'sidecar', 'cart', 'shop');
    await assert.rejects(asStranger('istio.io/debug/config_dump', ['gateway.edge']), { status: 'PERMISSION_DENIED' });
    const again = await connect(channel(stranger), 'sidecar', 'cart', 'shop');
    await assert.rejects(again('istio.io/debug/syncz'), { status: 'PERMISSION_DENIED' });
    const asOther = await connect(channel(stranger), 'router', 'gateway', 'edge');
    await assert.rejects(asOther(TypeUrl.secret, ['kubernetes://site']), { status: 'UNAUTHENTICATED' });
  });

  it('of istiod’s namespace everything may be asked, and no answer holds a key', async () => {
    const token = await tokenOf('istio-system', 'istiod');
    const { body } = await istiod.get('http', '/debug/list', token);
    const commands = JSON.parse(body) as string[];
    assert.ok(commands.length > 8);
    for (const command of commands.filter((name) => name !== 'force_disconnect'))
      for (const query of ['', '?proxyID=gateway.edge'])
        seen.push((await istiod.get('http', `/debug/${command}${query}`, token)).body);
    for (const path of ['/', '/scopej/', '/memj/', '/envj/', '/procj/', '/argsj/', '/versionj/'])
      seen.push((await istiod.get('controlZ', path)).body);
    seen.push((await istiod.get('monitoring', '/metrics')).body);
  });

  it('neither does the log, at its most talkative, also not of what is refused', async () => {
    const forged = `${Buffer.from('{"alg":"RS256"}').toString('base64url')}.${Buffer.from(`{"sub":"system:serviceaccount:edge:gateway","aud":["istio-ca"],"exp":${Math.floor(Date.now() / 1000) + 600}}`).toString('base64url')}.TUFSS0VELUZPUkdFRA`;
    secrets.set('signature of a forged token', 'TUFSS0VELUZPUkdFRA');
    secrets.set('password', 'MARKED-PASSWORD');
    const key = generatePrivateKey();
    const request = encode('istio.v1.auth.IstioCertificateRequest', {
      csr: createCsr(key, []),
      validityDuration: '3600',
    });
    for (const authorization of [`Bearer ${forged}`, 'Basic MARKED-PASSWORD', 'Bearer MARKED-PASSWORD'])
      await assert.rejects(channel().unary(CSR, request, { metadata: { authorization } }), {
        status: 'UNAUTHENTICATED',
      });
    await istiod.get('http', '/debug/syncz', 'MARKED-PASSWORD');
    seen.push(istiod.output());
    assert.match(istiod.output(), /the token was not accepted/);
    const text = seen.join('\n');
    for (const [what, secret] of secrets) {
      assert.ok(secret.length > 12, what);
      for (const form of [secret, Buffer.from(secret).toString('base64').slice(0, -4)])
        assert.equal(text.includes(form), false, what);
    }
    assert.doesNotMatch(text, /BEGIN [A-Z ]*PRIVATE KEY/);
    // The encodings of a whole key, wherever in it they begin.
    for (const start of ['-----BEGIN PRIVATE KEY', '-----BEGIN EC PRIVATE KEY', '-----BEGIN RSA PRIVATE KEY'])
      assert.equal(text.includes(Buffer.from(start).toString('base64').slice(0, 20)), false, start);
  });
});
