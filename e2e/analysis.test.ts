import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { obstacle } from './support/cluster.ts';
import { ownCluster } from './support/own-cluster.ts';
import { until } from './support/shell.ts';

const httpbin = join(import.meta.dirname, '..', 'samples', 'httpbin', 'httpbin.yaml');
const reason = obstacle();

const routing = (selector: string, gateway: string, version: string) => `apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: httpbin, namespace: shop}
spec:
  selector: {istio: ${selector}}
  servers:
  - port: {number: 80, name: http, protocol: HTTP}
    hosts: ["*"]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: httpbin, namespace: shop}
spec:
  hosts: ["*"]
  gateways: [${gateway}]
  http:
  - route: [{destination: {host: httpbin, subset: wanted}}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: httpbin, namespace: shop}
spec:
  host: httpbin
  subsets: [{name: wanted, labels: {version: ${version}}}]
`;

describe('analysis of a cluster', { skip: reason ?? false }, () => {
  const cluster = ownCluster(async (started) => {
    await started.istioctl('install', '--set', 'profile=demo', '-y');
    await started.kubectl('create', 'namespace', 'shop');
    await started.kubectl('label', 'namespace', 'shop', 'istio-injection=enabled');
    await started.kubectl('apply', '-n', 'shop', '-f', httpbin);
    await started.podsReady('shop');
  });
  const codes = (log: string) =>
    [...log.matchAll(/\[(IST\d{4})\] \((\w+) /g)].map(([, code, kind]) => `${code} ${kind}`);
  const file = (name: string, text: string) => {
    const path = join(cluster().home, name);
    writeFileSync(path, text);
    return path;
  };

  test('a fresh mesh has no errors and no warnings', async () => {
    const { stdout, exitCode } = await cluster().tryIstioctl(
      'analyze',
      '-A',
      '--output-threshold',
      'Warning',
      '--failure-threshold',
      'Warning',
    );
    assert.equal(stdout, '');
    assert.equal(exitCode, 0);
  });

  test('mistakes are found in files before, and in the cluster after they are applied', async () => {
    const mistakes = file('mistakes.yaml', routing('ingressgatway', 'other', 'v2'));
    const expected = ['IST0101 Gateway', 'IST0101 VirtualService', 'IST0173 DestinationRule'].sort();
    const before = await cluster().tryIstioctl('analyze', '-n', 'shop', mistakes);
    assert.equal(before.exitCode, 79);
    assert.deepEqual(codes(before.stdout).sort(), expected);
    assert.match(before.stdout, /VirtualService shop\/httpbin [^ ]*mistakes\.yaml:15\)/);
    await cluster().kubectl('apply', '-f', mistakes);
    const applied = await cluster().tryIstioctl('analyze', '-n', 'shop');
    assert.equal(applied.exitCode, 79);
    assert.deepEqual(codes(applied.stdout).sort(), expected);
  });

  test('istiod writes the same messages into the status of the objects, and takes them back', async () => {
    const messages = async (kind: string) => {
      const text = await cluster().kubectl('get', kind, 'httpbin', '-n', 'shop', '-o', 'json');
      const { status } = JSON.parse(text) as {
        status?: { validationMessages?: { type: { code: string } }[] };
      };
      return (status?.validationMessages ?? []).map(({ type }) => type.code);
    };
    await until('the messages', async () => {
      const seen = [await messages('gateway.networking.istio.io'), await messages('virtualservice')];
      if (!seen.every((codes) => codes.includes('IST0101'))) throw new Error(JSON.stringify(seen));
      return true;
    });
    await cluster().kubectl('apply', '-f', file('ingress.yaml', routing('ingressgateway', 'httpbin', 'v1')));
    await until('the messages to be gone', async () => {
      const seen = [await messages('gateway.networking.istio.io'), await messages('virtualservice')];
      if (seen.flat().includes('IST0101')) throw new Error(JSON.stringify(seen));
      return true;
    });
    await cluster().kubectl('apply', '-f', join(cluster().home, 'mistakes.yaml'));
  });

  test('files take the place of the objects of the cluster', async () => {
    const mended = file('mended.yaml', routing('ingressgateway', 'httpbin', 'v1'));
    const { stdout, exitCode } = await cluster().tryIstioctl('analyze', '-n', 'shop', mended);
    assert.deepEqual(codes(stdout), []);
    assert.equal(exitCode, 0);
  });

  test('what the user may not read is said, and nothing is called missing because of it', async () => {
    await cluster().kubectl(
      'create',
      'clusterrole',
      'some',
      '--verb=list',
      '--resource=virtualservices.networking.istio.io,namespaces',
    );
    await cluster().kubectl('create', 'clusterrolebinding', 'some', '--clusterrole=some', '--user=dev');
    const { stdout, exitCode } = await cluster().tryIstioctl('analyze', '-n', 'shop', '--as', 'dev');
    assert.equal(exitCode, 79);
    assert.match(stdout, /^Error \[IST0141\] gateways\.networking\.istio\.io /m);
    assert.doesNotMatch(stdout, /IST0101/);
  });
});
