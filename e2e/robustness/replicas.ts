import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Cluster } from '../support/cluster.ts';
import { eventually, until } from '../support/shell.ts';
import { changeArrives, injectedContainers, list, podStates, withoutFailures } from './mesh.ts';

const LEASE = 'istio-ip-autoallocate';

/** A host without addresses: the one istiod that leads writes some into its status. */
const foreignHost = (name: string) =>
  list({
    apiVersion: 'networking.istio.io/v1',
    kind: 'ServiceEntry',
    metadata: { name },
    spec: {
      hosts: [`${name}.example.test`],
      resolution: 'DNS',
      ports: [{ number: 80, name: 'http', protocol: 'HTTP' }],
    },
  });

export async function leaderOf({ kubectl }: Cluster): Promise<string> {
  const query = ['-o', 'jsonpath={.spec.holderIdentity}'];
  return (await kubectl('get', 'lease', '-n', 'istio-system', LEASE, ...query)).trim();
}

/** The one that leads still writes what only it writes. */
export async function statusIsWritten({ apply, kubectl }: Cluster, name: string): Promise<void> {
  await eventually('the object to be taken', async () => void (await apply(foreignHost(name))));
  await eventually(`addresses in the status of ${name}`, async () =>
    assert.match(
      await kubectl('get', 'serviceentry', name, '-o', 'jsonpath={.status.addresses[*].value}'),
      /^\d+\.\d+\.\d+\.\d+/,
    ),
  );
}

/** All proxies are connected to istiods that are there, and have all that these have for them. */
export const proxiesInSync = (cluster: Cluster, proxies: number) =>
  eventually(
    'all proxies to be connected and in sync',
    async () => {
      const alive = new Set((await podStates(cluster, 'istio-system', 'istiod')).map(({ name }) => name));
      const rows = (await cluster.istioctl('proxy-status')).trim().split('\n').slice(1);
      assert.ok(rows.length >= proxies, `${rows.length} of ${proxies} proxies are connected:\n${rows.join('\n')}`);
      for (const row of rows) {
        assert.doesNotMatch(row, /STALE/);
        assert.ok(
          [...alive].some((name) => row.includes(name)),
          row,
        );
      }
    },
    180_000,
  );

export function replicaTests(cluster: () => Cluster): void {
  test('three istiods, each of them killed in turn, the leading one first: somebody leads, changes arrive, pods are injected, no request fails', async (t) => {
    const { kubectl } = cluster();
    await statusIsWritten(cluster(), 'round-0');
    const first = (await podStates(cluster(), 'istio-system', 'istiod')).map(({ name }) => name);
    assert.equal(first.length, 3);
    const leader = await leaderOf(cluster());
    assert.ok(first.includes(leader), `${leader} is none of ${first}`);
    await withoutFailures(
      cluster(),
      (line) => t.diagnostic(line),
      async () => {
        let round = 0;
        for (const victim of [leader, ...first.filter((name) => name !== leader)]) {
          round++;
          await kubectl('delete', 'pod', '-n', 'istio-system', victim, '--force', '--grace-period=0');
          await eventually('somebody who injects', async () =>
            assert.ok((await injectedContainers(cluster())).includes('istio-proxy')),
          );
          await changeArrives(cluster(), `killed-${round}`);
          const holder = await until('somebody else to lead', async () => {
            const name = await leaderOf(cluster());
            return name !== victim &&
              (await podStates(cluster(), 'istio-system', 'istiod')).some((p) => p.name === name)
              ? name
              : undefined;
          });
          await statusIsWritten(cluster(), `round-${round}`);
          t.diagnostic(`${victim} was killed, ${holder} leads`);
          await cluster().podsReady('istio-system', 'app=istiod');
        }
        await proxiesInSync(cluster(), 4);
      },
    );
    const last = await podStates(cluster(), 'istio-system', 'istiod');
    assert.deepEqual(
      last.filter(({ name }) => first.includes(name)),
      [],
    );
    assert.deepEqual(
      last.map(({ restarts }) => restarts),
      [0, 0, 0],
    );
    await kubectl('delete', 'serviceentry', '--all');
  });
}
