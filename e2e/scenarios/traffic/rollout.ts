import assert from 'node:assert/strict';
import { test } from 'node:test';
import { until } from '../../support/shell.ts';
import { manifest, service, type World, workload } from './world.ts';

/** Pods come and go under load, and no request is lost. */
export function rollout(world: () => World): void {
  const under = async (url: string, change: () => Promise<unknown>) => {
    let changing = true;
    const load = (async () => {
      const answers: { readonly status: number; readonly text: string }[] = [];
      while (changing) {
        const seen = await world().client.calls({ url, times: 100, parallel: 4 });
        for (const { status, text, error } of seen) if (status !== 200) answers.push({ status, text: error ?? text });
      }
      return answers;
    })();
    try {
      await change();
    } finally {
      changing = false;
    }
    return load;
  };
  const reached = (versionUrl: string) =>
    until(`an answer of ${versionUrl}`, async () =>
      (await world().client.call(versionUrl)).status === 200 ? true : undefined,
    );

  test('a rolling restart', async () => {
    const { cluster } = world();
    await cluster.apply(
      manifest([
        service('rolled', { app: 'rolled' }),
        ...workload({ name: 'rolled', app: 'rolled', program: 'origin' }),
      ]),
      'traffic',
    );
    await cluster.podsReady('traffic', 'app=rolled');
    const url = 'http://rolled:8080/?delay=10';
    await reached(url);
    const failures = await under(url, async () => {
      await cluster.kubectl('rollout', 'restart', '-n', 'traffic', 'deploy/rolled');
      await cluster.kubectl('rollout', 'status', '-n', 'traffic', 'deploy/rolled', '--timeout=300s');
    });
    assert.deepEqual(failures, []);
  });

  test('more replicas and fewer', async () => {
    const { cluster } = world();
    const url = 'http://rolled:8080/?delay=10';
    await reached(url);
    const failures = await under(url, async () => {
      await cluster.kubectl('scale', '-n', 'traffic', 'deploy/rolled', '--replicas=3');
      await cluster.kubectl('rollout', 'status', '-n', 'traffic', 'deploy/rolled', '--timeout=300s');
      await cluster.kubectl('scale', '-n', 'traffic', 'deploy/rolled', '--replicas=1');
      await until('the pods to go', async () => {
        const names = await cluster.kubectl('get', 'pods', '-n', 'traffic', '-l', 'app=rolled', '-o', 'name');
        return names.trim().split('\n').length === 1 ? true : undefined;
      });
    });
    assert.deepEqual(failures, []);
  });
}
