import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eventually, until } from '../../support/shell.ts';
import { istio, manifest, service, type World } from './world.ts';

/** An object that nobody checked on its way in: it is ignored, and everybody is told. */
export function rejected(world: () => World): void {
  const rules = (http: readonly object[]) => istio('VirtualService', 'doubtful', { hosts: ['doubtful'], http });
  const accepted = () =>
    world().cluster.kubectl(
      ...['get', 'vs', '-n', 'traffic', 'doubtful', '-o', 'jsonpath={.status.conditions[?(@.type=="Accepted")]}'],
    );
  const call = (url: string) => world().client.call(url);
  const route = [{ destination: { host: 'doubtful' } }];

  test('an invalid VirtualService that no webhook stopped', async () => {
    const { cluster } = world();
    await cluster.apply(
      manifest([service('doubtful'), rules([{ headers: { response: { set: { 'x-rule': 'first' } } }, route }])]),
      'traffic',
    );
    await until('the valid rules', async () =>
      (await call('http://doubtful:8080/')).headers['x-rule'] === 'first' ? true : undefined,
    );
    const hooks = await cluster.kubectl('get', 'validatingwebhookconfigurations', '-o', 'name');
    const saved = await cluster.kubectl('get', 'validatingwebhookconfigurations', '-o', 'yaml');
    await cluster.kubectl('delete', ...hooks.trim().split('\n'));
    try {
      await cluster.apply(
        manifest([rules([{ match: [{ uri: { regex: '(a' } }], route: [{ destination: { host: 'doubtful' } }] }])]),
        'traffic',
      );
      const condition = await until('the condition', async () => {
        const text = await accepted();
        return text.includes('"False"') ? text : undefined;
      });
      assert.match(condition, /http\[0\]\.match\[0\]\.uri\.regex/);
      await eventually('the log and the metric', async () => {
        assert.match(
          await cluster.kubectl('logs', '-n', 'istio-system', 'deploy/istiod'),
          /VirtualService traffic\/doubtful is ignored.*http\[0\]\.match\[0\]\.uri/,
        );
        const metrics = await cluster.kubectl(
          ...['exec', '-n', 'istio-system', 'deploy/istiod', '--', 'curl', '-s', 'localhost:15014/metrics'],
        );
        assert.match(metrics, /pilot_total_rejected_configs\{[^}]*doubtful[^}]*\} [1-9]/);
      });
      // What was valid before stays, and others are not touched.
      assert.equal((await call('http://doubtful:8080/')).headers['x-rule'], 'first');
      assert.equal((await call('http://origin:8080/')).status, 200);
      await cluster.apply(
        manifest([rules([{ headers: { response: { set: { 'x-rule': 'mended' } } }, route }])]),
        'traffic',
      );
      await until('the mended rules', async () =>
        (await call('http://doubtful:8080/')).headers['x-rule'] === 'mended' ? true : undefined,
      );
      await until('the condition to be taken back', async () =>
        (await accepted()).includes('"True"') ? true : undefined,
      );
    } finally {
      await cluster.tryApply(saved.replaceAll(/^ *(resourceVersion|uid|generation): .*\n/gm, ''));
    }
  });
}
