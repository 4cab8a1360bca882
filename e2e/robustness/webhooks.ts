import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Cluster } from '../support/cluster.ts';
import { eventually, until } from '../support/shell.ts';
import { BRIEF_TTL_MS, certificateOf, startBrief, stopBrief } from './brief-certificate.ts';
import { callFromClient, changeArrives, injectedContainers, podStates, routes, withoutFailures } from './mesh.ts';
import { proxiesInSync } from './replicas.ts';

const INJECTION = ['istio-sidecar-injector', 'istio-revision-tag-default'] as const;
const VALIDATION = ['istio-validator-istio-system', 'istiod-default-validator'] as const;

export function webhookTests(cluster: () => Cluster): void {
  const policy = async (kind: string, name: string, value: 'Fail' | 'Ignore') => {
    const { kubectl } = cluster();
    const { webhooks } = JSON.parse(await kubectl('get', kind, name, '-o', 'json')) as { readonly webhooks: unknown[] };
    const patch = webhooks.map((_, index) => ({ op: 'add', path: `/webhooks/${index}/failurePolicy`, value }));
    await kubectl('patch', kind, name, '--type=json', '-p', JSON.stringify(patch));
  };

  test('no istiod at all: requests go on, webhooks do what their failure policy says, a certificate that ends meanwhile is had again afterwards', async (t) => {
    const { kubectl, tryKubectl, tryApply, podsReady } = cluster();
    const say = (line: string) => t.diagnostic(line);
    await startBrief(cluster());
    const [brief] = await podStates(cluster(), 'default', 'brief');
    assert.ok(brief);
    await eventually('the pod with the short certificate to answer', async () =>
      assert.equal((await callFromClient(cluster(), 'brief')).status, 200),
    );
    await withoutFailures(cluster(), say, async () => {
      await kubectl('scale', '-n', 'istio-system', 'deploy/istiod', '--replicas=0');
      await until('istiod to be gone', async () => {
        const pods = await kubectl('get', 'pods', '-n', 'istio-system', '-l', 'app=istiod', '-o', 'name');
        return pods.trim() === '' ? true : undefined;
      });
      // Not before the certificate that it has now has ended, whenever the last one was given.
      const last = await certificateOf(cluster(), brief.name);
      const run = ['run', 'probe', '--image=busybox', '--restart=Never', '--dry-run=server'] as const;

      const refused = await until('a pod to be refused', async () => {
        const output = await tryKubectl(...run);
        return output.exitCode === 0 ? undefined : output.stderr;
      });
      say(`injection, Fail: ${refused.trim()}`);
      assert.match(refused, /failed calling webhook "[\w.-]*sidecar-injector\.istio\.io"/);
      for (const name of INJECTION) await policy('mutatingwebhookconfiguration', name, 'Ignore');
      const containers = await until('a pod without a sidecar', async () => injectedContainers(cluster()));
      say(`injection, Ignore: a pod of ${containers.join(', ')}`);
      assert.deepEqual(containers, ['probe']);
      for (const name of INJECTION) await policy('mutatingwebhookconfiguration', name, 'Fail');

      const invalid = await until('a change to be refused', async () => {
        const output = await tryApply(routes('nobody-there'));
        return output.exitCode === 0 ? undefined : output.stderr;
      });
      say(
        `validation, Fail: ${invalid
          .split('\n')
          .find((line) => line.includes('failed calling webhook'))
          ?.trim()}`,
      );
      assert.match(invalid, /failed calling webhook "[\w.-]*validation[\w.-]*istio\.io"/);
      for (const name of VALIDATION) await policy('validatingwebhookconfiguration', name, 'Ignore');
      await eventually('a change to be taken', async () => {
        const { exitCode, stderr } = await tryApply(routes('nobody-there'));
        assert.equal(exitCode, 0, stderr);
      });
      say('validation, Ignore: the change is taken');

      await until(
        'the certificate to end',
        async () => (Date.now() > last.validToDate.getTime() ? true : undefined),
        2 * BRIEF_TTL_MS,
      );
      const answer = await until('handshakes with the old certificate to fail', async () => {
        const seen = await callFromClient(cluster(), 'brief');
        return seen.status === 200 ? undefined : seen;
      });
      say(`the pod whose certificate has ended: ${answer.status} ${answer.error ?? ''}`);
      assert.equal(answer.status, 503);

      await kubectl('scale', '-n', 'istio-system', 'deploy/istiod', '--replicas=3');
      await podsReady('istio-system', 'app=istiod');
      await eventually('the pod with the short certificate to answer again', async () =>
        assert.equal((await callFromClient(cluster(), 'brief')).status, 200),
      );
      await eventually('the change of the time without istiod', async () =>
        assert.equal((await callFromClient(cluster(), 'server')).mark, 'nobody-there'),
      );
      await proxiesInSync(cluster(), 5);
      // istiod closes validation again.
      for (const name of VALIDATION)
        await eventually(`the failure policy of ${name}`, async () =>
          assert.match(
            await kubectl('get', 'validatingwebhookconfiguration', name, '-o', 'jsonpath={.webhooks[0].failurePolicy}'),
            /^Fail$/,
          ),
        );
      await eventually('a pod with a sidecar', async () =>
        assert.ok((await injectedContainers(cluster())).includes('istio-proxy')),
      );
      await changeArrives(cluster(), 'istiod-is-back');
    });
    const [after] = await podStates(cluster(), 'default', 'brief');
    assert.deepEqual([after?.name, after?.restarts], [brief.name, 0]);
    await stopBrief(cluster());
  });
}
