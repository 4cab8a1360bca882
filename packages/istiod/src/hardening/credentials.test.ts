import assert from 'node:assert/strict';
import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { kubernetesTypes } from '@istio-ts/api/resource-types';
import type { KubeObject } from '@istio-ts/kube';
import {
  type AuthorityMaterial,
  createCsr,
  createRootCertificate,
  exportPrivateKey,
  generatePrivateKey,
  loadAuthority,
} from '@istio-ts/security';
import {
  askCertificate,
  askClusters,
  clusterTokenKey,
  csrOf,
  hs256,
  type Proof,
  rs256,
  signToken,
  startIssuer,
  type TestIssuer,
  tokenParts,
} from './credentials.test-support.ts';
import { eventually } from '@istio-ts/envoy/testing/eventually';
import { type RunningIstiod, serviceAccount, startIstiod } from './istiod.test-support.ts';

/** Whoever shows something wrong to istiod, a process with the chart's rights, over TLS: it is refused, and told why. */

const pod = (namespace: string, name: string, account: string, nodeName: string): KubeObject => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { namespace, name, labels: { app: name } },
  spec: { serviceAccountName: account, nodeName, containers: [{ name: 'a', image: 'a' }] },
});
const IN_SHOP = { namespace: 'shop', serviceAccount: 'cart' };
const ME = 'URI:spiffe://cluster.local/ns/shop/sa/cart';
const DAY = 24 * 3_600_000;

let istiod: RunningIstiod;
let issuer: TestIssuer;
let root = '';
let material: AuthorityMaterial;
let good = '';

/** A token that is bound to a pod. */
async function boundToken(namespace: string, account: string, name: string): Promise<string> {
  const { metadata } = await istiod.client.get(kubernetesTypes.Pod, name, namespace);
  const { body } = await istiod.api.call('POST', `/api/v1/namespaces/${namespace}/serviceaccounts/${account}/token`, {
    apiVersion: 'authentication.k8s.io/v1',
    kind: 'TokenRequest',
    spec: {
      audiences: ['istio-ca'],
      expirationSeconds: 3600,
      boundObjectRef: { apiVersion: 'v1', kind: 'Pod', name, uid: metadata.uid },
    },
  });
  return body.status.token;
}

before(async () => {
  issuer = await startIssuer();
  istiod = await startIstiod({
    objects: [
      serviceAccount('shop', 'cart'),
      serviceAccount('shop', 'gone'),
      serviceAccount('bank', 'vault'),
      serviceAccount('istio-system', 'ztunnel'),
      pod('shop', 'cart-1', 'cart', 'node-1'),
      pod('shop', 'cart-2', 'cart', 'node-1'),
      pod('bank', 'vault-1', 'vault', 'node-2'),
      pod('istio-system', 'ztunnel-1', 'ztunnel', 'node-1'),
    ],
    env: {
      PILOT_MAX_REQUESTS_PER_SECOND: '200',
      JWT_RULE: JSON.stringify({ issuer: issuer.url, audiences: ['istio-ca'] }),
    },
  });
  for (const [namespace, name, ip] of [
    ['shop', 'cart-1', '10.0.0.1'],
    ['shop', 'cart-2', '10.0.0.2'],
    ['bank', 'vault-1', '10.0.0.3'],
    ['istio-system', 'ztunnel-1', '10.0.0.4'],
  ] as const)
    await istiod.client.patch(
      kubernetesTypes.Pod,
      name,
      namespace,
      'merge',
      { status: { phase: 'Running', podIP: ip, podIPs: [{ ip }] } },
      { subresource: 'status' },
    );
  const { data } = (await istiod.client.get(kubernetesTypes.Secret, 'istio-ca-secret', 'istio-system')) as {
    readonly data?: Readonly<Record<string, string>>;
  };
  const file = (name: string): string => Buffer.from(data?.[name] ?? '', 'base64').toString();
  material = { certificate: file('ca-cert.pem'), key: file('ca-key.pem'), chain: '', root: file('ca-cert.pem') };
  root = material.root;
  good = await istiod.token('shop', 'cart', ['istio-ca']);
});
after(async () => {
  await istiod?.close();
  await issuer?.close();
});

const refused = (work: Promise<unknown>, status: string, message: RegExp): Promise<void> =>
  assert.rejects(work, (error: Error & { status?: string }) => {
    assert.equal(error.status, status, error.message);
    assert.match(error.message, message);
    return true;
  });

/** By both services of the port. */
async function refusedEverywhere(proof: Proof, message: RegExp): Promise<void> {
  await refused(askCertificate(istiod, root, proof), 'UNAUTHENTICATED', message);
  await refused(askClusters(istiod, root, proof, IN_SHOP), 'UNAUTHENTICATED', message);
}

function holder(
  options: {
    readonly material?: AuthorityMaterial;
    readonly at?: number;
    readonly account?: string;
    readonly trustDomain?: string;
  } = {},
): Proof {
  const key = generatePrivateKey();
  const { chain } = loadAuthority(options.material ?? material).sign({
    csr: csrOf(key),
    identity: {
      trustDomain: options.trustDomain ?? 'cluster.local',
      namespace: 'shop',
      serviceAccount: options.account ?? 'cart',
    },
    ttl: 3_600_000,
    now: new Date(options.at ?? Date.now()),
  });
  return { key: exportPrivateKey(key), cert: chain };
}

describe('tokens', () => {
  it('of the cluster are accepted by both services', async () => {
    const [leaf] = await askCertificate(istiod, root, { token: good });
    assert.equal(new X509Certificate(leaf ?? '').subjectAltName, ME);
    assert.ok((await askClusters(istiod, root, { token: good }, IN_SHOP)) > 0);
  });

  it('that have ended, begin later, are for others, or of who is gone', async () => {
    const { header, claims } = tokenParts(good);
    const { key } = clusterTokenKey(istiod);
    const like = (change: object): Proof => ({ token: signToken(header, { ...claims, ...change }, rs256(key)) });
    const now = Math.floor(Date.now() / 1000);
    // The cluster's own key and nothing changed: the way in which the others are made is right.
    assert.equal((await askCertificate(istiod, root, like({ jti: 'other' }))).length, 2);
    await refusedEverywhere(like({ exp: now - 1 }), /expired/);
    await refusedEverywhere(like({ nbf: now + 300 }), /not valid yet/);
    await refusedEverywhere({ token: await istiod.token('shop', 'cart') }, /audience/);
    await refusedEverywhere({ token: await istiod.token('shop', 'cart', ['vault']) }, /audience/);
    await refusedEverywhere(like({ iss: 'https://elsewhere.example' }), /token/);
    const gone = await istiod.token('shop', 'gone', ['istio-ca']);
    await istiod.client.delete(kubernetesTypes.ServiceAccount, 'gone', 'shop');
    await refusedEverywhere({ token: gone }, /token/);
    const bound = await boundToken('shop', 'cart', 'cart-2');
    await istiod.client.delete(kubernetesTypes.Pod, 'cart-2', 'shop', { gracePeriodSeconds: 0 });
    await refusedEverywhere({ token: bound }, /token/);
  });

  it('that are forged', async () => {
    const { header, claims } = tokenParts(good);
    const { publicPem } = clusterTokenKey(istiod);
    const stranger = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
    const [first, , signature] = good.split('.');
    const admin = { ...claims, sub: 'system:serviceaccount:kube-system:admin' };
    const forged = [
      signToken(header, claims, rs256(stranger)),
      signToken({ ...header, alg: 'HS256' }, claims, hs256(publicPem)),
      signToken({ ...header, alg: 'none' }, claims, () => Buffer.alloc(0)),
      signToken(header, claims, () => Buffer.alloc(256)),
      `${first}.${Buffer.from(JSON.stringify(admin)).toString('base64url')}.${signature}`,
      `${good.slice(0, -4)}AAAA`,
    ];
    for (const token of forged) await refusedEverywhere({ token }, /token was not accepted/);
  });

  it('that are none, or too long', async () => {
    await refusedEverywhere({ token: 'password' }, /no JWT/);
    await refusedEverywhere({ token: 'a.b.c' }, /no JSON/);
    await refusedEverywhere({ token: `${good}${'A'.repeat(20_000)}` }, /show a/);
    // More than the server takes of headers at all.
    await assert.rejects(askCertificate(istiod, root, { token: 'A'.repeat(100_000) }));
    assert.equal((await askCertificate(istiod, root, { token: good })).length, 2);
  });

  it('of another issuer that is trusted (JWT_RULE), by its published keys and those after them', async () => {
    const sub = 'system:serviceaccount:shop:cart';
    const [leaf] = await askCertificate(istiod, root, { token: issuer.token({ sub }) });
    assert.equal(new X509Certificate(leaf ?? '').subjectAltName, ME);
    assert.ok((await askClusters(istiod, root, { token: issuer.token({ sub }) }, IN_SHOP)) > 0);
    const now = Math.floor(Date.now() / 1000);
    await refusedEverywhere({ token: issuer.token({ sub, aud: ['vault'] }) }, /audiences istio-ca/);
    await refusedEverywhere({ token: issuer.token({ sub, exp: now - 5 }) }, /expired/);
    await refusedEverywhere({ token: issuer.token({ sub, nbf: now + 300 }) }, /not valid yet/);
    await refusedEverywhere({ token: issuer.token({ sub: 'alice' }) }, /not a service account/);
    await refusedEverywhere({ token: issuer.token({ sub: 'system:serviceaccount:shop:cart:x' }) }, /not a service/);
    const stranger = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
    const { header, claims } = tokenParts(issuer.token({ sub }));
    await refusedEverywhere({ token: signToken(header, claims, rs256(stranger)) }, /does not verify/);
    const fetched = issuer.fetches();
    issuer.rotate();
    // A key that was never heard of is looked for, but not at every stranger's word.
    for (let i = 0; i < 5; i++) await refusedEverywhere({ token: issuer.token({ sub }) }, /key that its issuer/);
    assert.ok(issuer.fetches() <= fetched + 1);
  });
});

describe('client certificates', () => {
  it('of the mesh are accepted', async () => {
    const [leaf] = await askCertificate(istiod, root, holder());
    assert.equal(new X509Certificate(leaf ?? '').subjectAltName, ME);
    assert.ok((await askClusters(istiod, root, holder(), IN_SHOP)) > 0);
  });

  it('that have ended, begin later, are of others, or name no workload', async () => {
    const other = createRootCertificate({ organization: 'cluster.local', now: new Date() });
    await refusedEverywhere(holder({ at: Date.now() - DAY }), /does not verify: CERT_HAS_EXPIRED/);
    await refusedEverywhere(holder({ at: Date.now() + DAY }), /does not verify: CERT_NOT_YET_VALID/);
    await refusedEverywhere(holder({ material: other }), /does not verify/);
    await refusedEverywhere(holder({ trustDomain: 'other.example' }), /another trust domain/);
    const { key, chain } = loadAuthority(material).issueServer({
      dnsNames: ['istiod.istio-system.svc'],
      now: new Date(),
    });
    await refusedEverywhere({ key, cert: chain }, /show a/);
  });
});

describe('certificate requests', () => {
  it('for another identity give a certificate of the one that was proved', async () => {
    const key = generatePrivateKey();
    const csr = createCsr(
      key,
      [
        { kind: 'uri', value: 'spiffe://cluster.local/ns/bank/sa/vault' },
        { kind: 'dns', value: 'istiod.istio-system.svc' },
      ],
      [{ type: '2.5.4.3', value: 'admin' }],
    );
    const [leaf] = await askCertificate(istiod, root, { token: good }, { csr });
    const certificate = new X509Certificate(leaf ?? '');
    assert.equal(certificate.subjectAltName, ME);
    assert.doesNotMatch(certificate.subject ?? '', /admin/);
    assert.equal(certificate.ca, false);
  });

  it('that are weak, wrong, huge or none are refused', async () => {
    const ask = (csr: string) => askCertificate(istiod, root, { token: good }, { csr });
    const csr = csrOf();
    const flipped = Buffer.from(csr.replace(/-----[^-]+-----|\s/g, ''), 'base64');
    flipped[flipped.length - 1] = (flipped[flipped.length - 1] ?? 0) ^ 1;
    const pem = (der: Buffer): string =>
      `-----BEGIN CERTIFICATE REQUEST-----\n${der.toString('base64')}\n-----END CERTIFICATE REQUEST-----\n`;
    const cases: readonly (readonly [string, RegExp])[] = [
      [csrOf(generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey), /2048 to 8192 bits/],
      [csrOf(generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).privateKey), /curve secp256k1/],
      [pem(flipped), /signature does not fit/],
      [pem(Buffer.alloc(9000, 0x30)), /refused/],
      [pem(flipped.subarray(0, 60)), /refused/],
      ['', /refused/],
      ['garbage', /refused/],
      [`${csr}${'A'.repeat(20_000)}`, /at most/],
      ['A'.repeat(1 << 20), /longer than/],
    ];
    for (const [text, message] of cases) await refused(ask(text), 'INVALID_ARGUMENT', message);
    await refused(ask('A'.repeat(5 << 20)), 'RESOURCE_EXHAUSTED', /./);
    await refused(
      askCertificate(istiod, root, { token: good }, { validityDuration: 91 * 24 * 3600 }),
      'INVALID_ARGUMENT',
      /longer than the greatest allowed/,
    );
  });

  it('are limited for each pod, whatever others do', async () => {
    const token = await boundToken('shop', 'cart', 'cart-1');
    const results = await Promise.all(
      Array.from({ length: 45 }, () =>
        askCertificate(istiod, root, { token }).then(
          () => 'OK',
          (error: { status?: string }) => error.status ?? 'none',
        ),
      ),
    );
    assert.ok(results.filter((status) => status === 'OK').length >= 30);
    assert.ok(results.includes('RESOURCE_EXHAUSTED'), results.join(' '));
    assert.equal((await askCertificate(istiod, root, { token: good })).length, 2);
  });

  it('of a node’s proxy are for the pods of its node only', async () => {
    const wanted = (namespace: string, account: string) => ({
      metadata: { ImpersonatedIdentity: `spiffe://cluster.local/ns/${namespace}/sa/${account}` },
    });
    const token = await boundToken('istio-system', 'ztunnel', 'ztunnel-1');
    await eventually('istiod to know the pods', () =>
      askCertificate(istiod, root, { token }, wanted('shop', 'cart')).then(
        () => true,
        () => false,
      ),
    );
    const [leaf] = await askCertificate(istiod, root, { token }, wanted('shop', 'cart'));
    assert.equal(new X509Certificate(leaf ?? '').subjectAltName, ME);
    const ask = (proof: Proof, request: object) => askCertificate(istiod, root, proof, request);
    await refused(
      ask({ token }, wanted('bank', 'vault')),
      'PERMISSION_DENIED',
      /no pod of bank\/vault runs on the node/,
    );
    await refused(ask({ token }, wanted('bank', 'vault/x')), 'PERMISSION_DENIED', /not a SPIFFE/);
    const other = { metadata: { ImpersonatedIdentity: 'spiffe://other.example/ns/shop/sa/cart' } };
    await refused(ask({ token }, other), 'PERMISSION_DENIED', /trust domain/);
    const unbound = await istiod.token('istio-system', 'ztunnel', ['istio-ca']);
    await refused(ask({ token: unbound }, wanted('shop', 'cart')), 'PERMISSION_DENIED', /bound to a pod/);
    await refused(ask({ token: good }, wanted('bank', 'vault')), 'PERMISSION_DENIED', /CA_TRUSTED_NODE_ACCOUNTS/);
  });
});

describe('proxies', () => {
  it('that say another namespace or service account than they have proved get nothing', async () => {
    for (const proof of [holder(), { token: good }]) {
      const say = (namespace: string, account?: string) =>
        askClusters(istiod, root, proof, {
          namespace,
          ...(account !== undefined && { serviceAccount: account }),
        });
      assert.ok((await say('shop')) > 0);
      await refused(say('bank'), 'UNAUTHENTICATED', /no identity of bank/);
      await refused(say('istio-system', 'istiod'), 'UNAUTHENTICATED', /no identity of istio-system\/istiod/);
      await refused(say('shop', 'vault'), 'UNAUTHENTICATED', /no identity of shop\/vault/);
    }
  });

  it('and none of all that is in the log as a fault of istiod, or with a token', () => {
    assert.equal(/^.*\terror\t.*$/m.exec(istiod.output())?.[0], undefined);
    for (const secret of [good.split('.')[2] ?? '', material.key.split('\n')[1] ?? ''])
      assert.ok(!istiod.output().includes(secret));
  });
});
