import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { test } from 'node:test';
import { type Cluster, givenKubeconfig, localOnly } from '../support/cluster.ts';
import { http, load } from '../support/http.ts';
import { until } from '../support/shell.ts';

/** Process ids whose command line holds all of the words and whose environment belongs to this cluster's pod. */
function processesOf(podUidOrName: string, ...words: readonly string[]): readonly number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
        const environment = readFileSync(`/proc/${pid}/environ`, 'utf8');
        return words.every((word) => command.includes(word)) && environment.includes(podUidOrName);
      } catch {
        // The process has ended meanwhile.
        return false;
      }
    })
    .map(Number);
}

const elsewhere = 'the node is another machine than that of the tests';

/** Things that die come back, and traffic goes on meanwhile. */
export function resilience(cluster: () => Cluster): void {
  const podName = (namespace: string, app: string) => cluster().podOf(namespace, app);
  const restarts = async (namespace: string, name: string, container: string) =>
    Number(
      await cluster().kubectl(
        'get',
        'pod',
        '-n',
        namespace,
        name,
        '-o',
        `jsonpath={.status['initContainerStatuses','containerStatuses'][?(@.name=="${container}")].restartCount}`,
      ),
    );

  test('istiod is killed under load and no request fails', async (context) => {
    const url = `http://${await cluster().loadBalancer('istio-system', 'istio-ingressgateway')}/`;
    const name = await podName('istio-system', 'istiod');
    const before = await restarts('istio-system', name, 'discovery');
    const killed = processesOf(name, 'pilot-discovery', 'discovery');
    if (killed.length === 0 && givenKubeconfig !== undefined) return context.skip(elsewhere);
    const traffic = load(url, { connections: 4 });
    assert.ok(killed.length > 0, 'istiod runs as a process of this machine');
    for (const pid of killed) process.kill(pid, 'SIGKILL');
    await until('istiod to be restarted', async () =>
      (await restarts('istio-system', name, 'discovery')) > before ? true : undefined,
    );
    await cluster().podsReady('istio-system');
    await until('the proxies to come back', async () => {
      const { exitCode, stdout } = await cluster().tryIstioctl('proxy-status');
      return exitCode === 0 && (stdout.match(/SYNCED/g)?.length ?? 0) >= 14 ? true : undefined;
    });
    const { total, failures } = await traffic.stop();
    assert.ok(total > 10, `${total} requests`);
    assert.equal(failures.length, 0, `${failures.length} of ${total} failed: ${failures.slice(0, 3).join(' | ')}`);
  });

  test('a killed Envoy is started again', async (context) => {
    const name = await podName('istio-app', 'currencyservice');
    const before = await restarts('istio-app', name, 'istio-proxy');
    const [envoy] = processesOf(name, 'envoy', '--drain-time-s');
    if (envoy === undefined && givenKubeconfig !== undefined) return context.skip(elsewhere);
    assert.ok(envoy, 'Envoy runs as a process of this machine');
    process.kill(envoy, 'SIGKILL');
    await until('the proxy to be restarted', async () =>
      (await restarts('istio-app', name, 'istio-proxy')) > before ? true : undefined,
    );
    await cluster().podsReady('istio-app', 'app=currencyservice');
    await until('the shop to answer', async () =>
      (await http(`http://${await cluster().loadBalancer('istio-system', 'istio-ingressgateway')}/`)).status === 200
        ? true
        : undefined,
    );
  });

  const skip = localOnly('the test stops and starts the cluster');
  test('the cluster stops and comes back with the same state', { skip }, async () => {
    await cluster().istioctl('local', 'down', '--name', cluster().name);
    assert.notEqual((await cluster().tryKubectl('get', 'ns', '--request-timeout=2s')).exitCode, 0);
    await cluster().istioctl('local', 'up', '--name', cluster().name);
    await cluster().podsReady('istio-system');
    await cluster().podsReady('istio-app');
    assert.match(await cluster().kubectl('get', 'vs', '-n', 'istio-app'), /frontend-ingress/);
    await until('the shop to answer', async () =>
      (await http(`http://${await cluster().loadBalancer('istio-system', 'istio-ingressgateway')}/`)).status === 200
        ? true
        : undefined,
    );
  });
}
