import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Cluster } from '../support/cluster.ts';
import { http } from '../support/http.ts';
import { eventually, until } from '../support/shell.ts';
import { certificateOf, startBrief, stopBrief } from './brief-certificate.ts';
import { hook, startApiServer, without } from './hooks.ts';
import { callFromClient, changeArrives, injectedContainers, podStates, sums, withoutFailures } from './mesh.ts';
import { leaderOf, proxiesInSync, statusIsWritten } from './replicas.ts';

const OUTAGE_MS = Number(process.env.E2E_OUTAGE_SECONDS || 90) * 1000;

/** Ends the process of a container in so many milliseconds, by a process of its own: nobody can reach it then through the API server. */
const endLater = (ms: number) =>
  `require('child_process').spawn(process.execPath, ['-e', "setTimeout(() => process.kill(1, 'SIGTERM'), ${ms})"], { detached: true, stdio: 'ignore' }).unref()`;

export function apiServerTests(cluster: () => Cluster): void {
  test('the API server is away: requests go on, istiod serves proxies and starts again, certificates are renewed afterwards', {
    skip: without('apiServerStop', 'apiServerStart'),
  }, async (t) => {
    const { kubectl, podsReady } = cluster();
    const say = (line: string) => t.diagnostic(line);
    await startBrief(cluster());
    const [brief] = await podStates(cluster(), 'default', 'brief');
    assert.ok(brief);
    const istiods = await podStates(cluster(), 'istio-system', 'istiod');
    const [restarted, ...steady] = istiods;
    assert.ok(restarted && steady.length === 2);
    const restartsBefore = new Map(istiods.map(({ name, restarts }) => [name, restarts]));
    const before = await certificateOf(cluster(), brief.name);
    await proxiesInSync(cluster(), 5);
    await withoutFailures(cluster(), say, async () => {
      await kubectl('exec', '-n', 'istio-system', restarted.name, '--', 'node', '-e', endLater(20_000));
      const stopped = Date.now();
      await hook('apiServerStop');
      try {
        let connected = 0;
        while (Date.now() - stopped < OUTAGE_MS) {
          connected = 0;
          for (const { ip, name } of steady) {
            const ready = await http(`http://${ip}:8080/ready`, { timeoutMs: 5000 });
            assert.equal(ready.status, 200, `${name} after ${Date.now() - stopped} ms: ${ready.body}${ready.error}`);
            const metrics = await http(`http://${ip}:15014/metrics`, { timeoutMs: 5000 });
            connected += sums(metrics.body).get('pilot_xds') ?? 0;
          }
          await new Promise((resolve) => setTimeout(resolve, 2000));
        }
        // Those of the istiod that started again came to the others: new streams are served without the API server.
        say(`${connected} proxies at the two istiods that went on, at the end of the outage`);
        assert.ok(connected >= 5, `${connected} proxies are connected`);
        const gone = await http(`http://${restarted.ip}:8080/ready`, { timeoutMs: 5000 });
        say(`the istiod that started again: ${gone.status} ${gone.error ?? gone.body}`);
        assert.notEqual(gone.status, 200);
      } finally {
        await startApiServer(cluster());
      }
      say(`the API server was away for ${Math.round((Date.now() - stopped) / 1000)} s`);
      await podsReady('istio-system', 'app=istiod');
      await changeArrives(cluster(), 'after-the-outage');
      await eventually('pods to be injected', async () =>
        assert.ok((await injectedContainers(cluster())).includes('istio-proxy')),
      );
      await statusIsWritten(cluster(), 'after-the-outage');
      say(`${await leaderOf(cluster())} leads`);
      await proxiesInSync(cluster(), 5);
    });
    for (const { name, restarts } of await podStates(cluster(), 'istio-system', 'istiod')) {
      const more = restarts - (restartsBefore.get(name) ?? 0);
      say(`${name} started again ${more} times`);
      if (name === restarted.name) assert.ok(more >= 1 && more <= 2, `${name}: ${more} restarts`);
      else assert.equal(more, 0, name);
    }
    // Its certificate ended in the outage: asked for again and again, had again when tokens can be reviewed, by the same processes.
    const now = await until('a new certificate', async () => {
      const certificate = await certificateOf(cluster(), brief.name);
      return certificate.serialNumber !== before.serialNumber && certificate.validToDate.getTime() > Date.now()
        ? certificate
        : undefined;
    });
    say(`the certificate of 40 s ended at ${before.validTo}, the present one ends at ${now.validTo}`);
    await eventually('the pod with the short certificate to answer', async () =>
      assert.deepEqual(await callFromClient(cluster(), 'brief'), { status: 200, mark: undefined }),
    );
    const [after] = await podStates(cluster(), 'default', 'brief');
    assert.deepEqual([after?.name, after?.restarts], [brief.name, 0]);
    const log = await kubectl('logs', brief.name, '-c', 'istio-proxy');
    const refusals = log.split('\n').filter((line) => line.includes('no workload certificate yet'));
    say(`${refusals.length} requests for a certificate were in vain, for example: ${refusals.at(-1)}`);
    assert.ok(
      refusals.some((line) => /UNAVAILABLE/.test(line)),
      log,
    );
    await stopBrief(cluster());
    await kubectl('delete', 'serviceentry', '--all');
  });
}
