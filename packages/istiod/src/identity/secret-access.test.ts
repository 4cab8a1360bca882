import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { after, before, test } from 'node:test';
import type { KubeObject } from '@istio-ts/kube';
import { playedClient } from '@istio-ts/kube/testing/played-client';
import { requireEnvoy } from '@istio-ts/envoy/testing/binary';
import { proves } from '@istio-ts/xds/field-proof';
import { selfSigned } from '@istio-ts/xds/testing/certificate';
import { istioObject, podObject, secretObject } from '@istio-ts/xds/testing/objects';
import { LoopbackNet } from '@istio-ts/xds/testing/offline-envoy';
import { type Origin, startOrigin } from '@istio-ts/xds/testing/origin';
import { tlsGet } from '@istio-ts/xds/testing/tls-client';
import { eventually } from '@istio-ts/envoy/testing/eventually';
import { freePort, OWN_AGENT, type RunningAgent, startAgent } from '../clients/agent.test-support.ts';
import { type ControlPlane, startControlPlane } from '../clients/control-plane.test-support.ts';
import { withSecretAccess } from './secret-access.ts';

/** A sidecar that ends TLS with a Secret, from the API server's word on who may read it to what a client sees. */

const net = new LoopbackNet();
const shown = selfSigned('shown.test');
const renewed = selfSigned('renewed.test');
const PORTS = { shown: 9443, foreign: 9444, missing: 9445 } as const;

/** Who may list Secrets, as `NAMESPACE/ACCOUNT`, and what was asked. */
const readers = new Set<string>();
const asked: object[] = [];
const warnings: string[] = [];
let down = false;
/** Questions that wait for their time. */
let due: (() => void)[] = [];

const client = playedClient({
  create: async (_: unknown, review: KubeObject) => {
    if (down) throw new Error('the API server is down');
    const spec = review.spec as { readonly user: string };
    asked.push(spec);
    const [, , namespace, account] = spec.user.split(':');
    return { ...review, status: { allowed: readers.has(`${namespace}/${account}`) } };
  },
});
const askAgain = (): void => {
  const now = due;
  due = [];
  for (const work of now) work();
};

const certificate = (of: typeof shown) =>
  secretObject({ name: 'shown' }, { 'tls.crt': of.certificate, 'tls.key': of.key });

let controlPlane: ControlPlane;
let agent: RunningAgent;
let origin: Origin;
let endAccess = (): void => undefined;

before(async () => {
  origin = await startOrigin('web', '127.0.0.1', await freePort());
  const ingress = ([name, number]: readonly [string, number]) => ({
    port: { number, protocol: 'HTTPS', name },
    bind: net.ip(1),
    defaultEndpoint: `127.0.0.1:${origin.port}`,
    tls: { mode: 'SIMPLE', credentialName: name === 'foreign' ? 'kubernetes://away/shown' : name },
  });
  controlPlane = await startControlPlane(
    [
      podObject({ name: 'web-0', labels: { app: 'web' }, ip: net.ip(1), account: 'web' }),
      certificate(shown),
      secretObject({ name: 'shown', namespace: 'away' }, { 'tls.crt': shown.certificate, 'tls.key': shown.key }),
      istioObject('PeerAuthentication', { name: 'public' }, { mtls: { mode: 'DISABLE' } }),
      istioObject('Sidecar', { name: 'web' }, { ingress: Object.entries(PORTS).map(ingress) }),
    ],
    {},
    {
      around: (source) => {
        const access = withSecretAccess(
          source,
          client,
          { debug() {}, info() {}, warn: (line: string) => void warnings.push(line), error() {} },
          (work) => {
            due.push(work);
            return () => undefined;
          },
        );
        endAccess = access.close;
        return access.source;
      },
    },
  );
  agent = await startAgent({
    command: OWN_AGENT,
    controlPlane,
    pod: { name: 'web-0', namespace: 'default', account: 'web', ip: net.ip(1), labels: { app: 'web' } },
    env: { ISTIO_META_INTERCEPTION_MODE: 'NONE' },
    proxyConfig: { binaryPath: requireEnvoy() },
  });
});

after(async () => {
  await agent?.stop();
  await controlPlane?.close();
  endAccess();
  await origin?.close();
});

const details = (): string => `${agent.output()}\n${controlPlane.complaints.join('\n')}\n${warnings.join('\n')}`;
const get = (port: number) => tlsGet(net.ip(1), port, { servername: 'shown.test' });
const outcome = (port: number): Promise<string> =>
  get(port).then(
    ({ fingerprint }) => fingerprint,
    (error: NodeJS.ErrnoException) => error.code ?? error.message,
  );
const fingerprint = (of: typeof shown) => new X509Certificate(of.certificate).fingerprint256;

test('without a role the sidecar has no certificate, and says so', async () => {
  await eventually(
    'the port to be open',
    () => outcome(PORTS.shown),
    (seen) => seen !== 'ECONNREFUSED',
    details,
  );
  assert.notEqual(await outcome(PORTS.shown), fingerprint(shown));
  assert.deepEqual(asked, [
    {
      user: 'system:serviceaccount:default:web',
      groups: ['system:serviceaccounts', 'system:serviceaccounts:default', 'system:authenticated'],
      resourceAttributes: { namespace: 'default', verb: 'list', group: '', resource: 'secrets' },
    },
  ]);
  assert.match(warnings.join('\n'), /^service account default\/web may not list Secrets/);
});

test('with the role it shows the certificate, and its successors', async () => {
  proves('Sidecar.spec.ingress[].tls.credentialName');
  readers.add('default/web');
  askAgain();
  await eventually(
    'the certificate',
    () => outcome(PORTS.shown),
    (seen) => seen === fingerprint(shown),
    details,
  );
  assert.equal((await get(PORTS.shown)).status, 200);
  controlPlane.set(certificate(renewed));
  await eventually(
    'its successor',
    () => outcome(PORTS.shown),
    (seen) => seen === fingerprint(renewed),
    details,
  );
});

test('Secrets of other namespaces and missing ones are not shown', async () => {
  for (const port of [PORTS.foreign, PORTS.missing]) {
    const seen = await outcome(port);
    assert.notEqual(seen, fingerprint(shown));
    assert.notEqual(seen, 'ECONNREFUSED');
  }
  controlPlane.set(secretObject({ name: 'missing' }, { 'tls.crt': shown.certificate, 'tls.key': shown.key }));
  await eventually(
    'the late one',
    () => outcome(PORTS.missing),
    (seen) => seen === fingerprint(shown),
    details,
  );
});

test('what the API server last said counts while it cannot be asked', async () => {
  down = true;
  askAgain();
  await eventually(
    'the failure',
    () => due.length,
    (waiting) => waiting > 0,
  );
  assert.equal(await outcome(PORTS.shown), fingerprint(renewed));
  askAgain();
  await eventually(
    'the next failure',
    () => due.length,
    (waiting) => waiting > 0,
  );
  assert.deepEqual(warnings.slice(1), ['cannot ask whether default/web may list Secrets: the API server is down']);
});
