import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { describeCertificate } from '@istio-ts/security';
import { cleanups, eventually, http, skip, startAgent } from './agent.test-support.ts';
import { startFakeIstiod } from './fake-istiod.test-support.ts';

test('a certificate is renewed before its end and pushed to Envoy', { skip }, async () => {
  const istiod = await startFakeIstiod([], { ttlMs: 3000 });
  cleanups.push(() => istiod.close());
  // Valid from two minutes before now: renewal is due when the last 2% of 123 s begin, which is after about half a second.
  const byName = { ...istiod, address: istiod.address.replace('127.0.0.1', 'localhost') };
  const agent = await startAgent(byName, { SECRET_GRACE_PERIOD_RATIO: '0.02', SECRET_GRACE_PERIOD_RATIO_JITTER: '0' });
  const serial = async (): Promise<string> => {
    const { certificates } = JSON.parse((await http(agent.ports.admin, '/certs')).body);
    return (
      certificates.flatMap((entry: { cert_chain: { serial_number: string }[] }) => entry.cert_chain)[0]
        ?.serial_number ?? ''
    );
  };
  const first = await eventually('a certificate in Envoy', serial, (value) => value !== '');
  await eventually('another certificate in Envoy', serial, (value) => value !== '' && value !== first);
  assert.ok(istiod.issued >= 2);
  await eventually(
    'ready with a discovery address that is a name',
    () => http(agent.ports.ready, '/healthz/ready'),
    ({ status }) => status === 200,
  );
  agent.process.kill('SIGTERM');
  assert.equal((await agent.exit).code, 0);
});

test('mounted certificates need no CA, and a changed file reaches Envoy', { skip }, async () => {
  const istiod = await startFakeIstiod([]);
  cleanups.push(() => istiod.close());
  const issue = (): { readonly chain: string; readonly key: string } =>
    istiod.authority.issueServer({ dnsNames: ['mounted'], now: new Date() });
  const agent = await startAgent(istiod, { FILE_MOUNTED_CERTS: 'true' });
  const directory = join(agent.directory, 'etc/certs');
  mkdirSync(directory, { recursive: true });
  const put = ({ chain, key }: { readonly chain: string; readonly key: string }): string => {
    writeFileSync(join(directory, 'root-cert.pem'), istiod.authority.root);
    writeFileSync(join(directory, 'key.pem'), key);
    writeFileSync(join(directory, 'cert-chain.pem'), chain);
    return describeCertificate(chain).serial;
  };
  const inEnvoy = async (): Promise<string> => (await http(agent.ports.admin, '/certs')).body;
  const first = put(issue());
  await eventually('the first certificate', inEnvoy, (body) => body.includes(first));
  const second = put(issue());
  await eventually('the second certificate', inEnvoy, (body) => body.includes(second));
  assert.equal(istiod.issued, 0);
  assert.equal((await http(agent.ports.status, '/quitquitquit', 'POST')).status, 200);
  assert.equal((await agent.exit).code, 0);
});
