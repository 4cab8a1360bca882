import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Cluster } from '../support/cluster.ts';
import { eventually } from '../support/shell.ts';
import { hook, startApiServer, without } from './hooks.ts';
import { callFromClient, list, podStates, routes, withoutFailures } from './mesh.ts';
import { proxiesInSync } from './replicas.ts';

/** A host that clients in the mesh know only by this object; its answers carry the mark. */
const alias = (name: string, mark: string) =>
  list(
    {
      apiVersion: 'networking.istio.io/v1',
      kind: 'ServiceEntry',
      metadata: { name },
      spec: {
        hosts: [`${name}.alias.test`],
        resolution: 'STATIC',
        addresses: [`240.240.7.${name.charCodeAt(0)}`],
        ports: [{ number: 80, name: 'http', protocol: 'HTTP' }],
        endpoints: [{ address: '127.0.0.9' }],
      },
    },
    {
      apiVersion: 'networking.istio.io/v1',
      kind: 'VirtualService',
      metadata: { name },
      spec: {
        hosts: [`${name}.alias.test`],
        http: [
          {
            headers: { response: { set: { 'x-mark': mark } } },
            route: [{ destination: { host: 'server.default.svc.cluster.local' } }],
          },
        ],
      },
    },
  );

const hostsOf = async ({ istioctl, podOf }: Cluster): Promise<string> =>
  istioctl('proxy-config', 'routes', `${await podOf('default', 'client')}.default`, '-o', 'json');

/** Exactly these aliases, with these marks, in the client's proxy, and nothing of others. */
const exactly = (cluster: Cluster, marks: Readonly<Record<string, string | undefined>>) =>
  eventually('exactly the changes that were made', async () => {
    const text = await hostsOf(cluster);
    for (const [name, mark] of Object.entries(marks)) {
      const known = text.includes(`${name}.alias.test`);
      assert.equal(known, mark !== undefined, `${name} is ${known ? 'still there' : 'not there'}`);
      if (mark !== undefined) assert.match(text, new RegExp(`"${mark}"`), `${name} has not the mark ${mark}`);
    }
  });

/** Every istiod's way to the API server, cut or not: what it sends is answered with a reset, or with nothing. */
async function cut(cluster: Cluster, how: 'reset' | 'silence'): Promise<() => Promise<void>> {
  const pods = await podStates(cluster, 'istio-system', 'istiod');
  const port = new URL((await cluster.kubectl('config', 'view', '--minify', '-o', 'jsonpath={..server}')).trim()).port;
  const rules = pods.map(
    ({ ip }) =>
      `INPUT -s ${ip} -p tcp --dport ${port || 443} -j ${how === 'reset' ? 'REJECT --reject-with tcp-reset' : 'DROP'}`,
  );
  for (const rule of rules) await hook('node', `iptables -w -I ${rule}`);
  return async () => {
    for (const rule of rules) await hook('node', `iptables -w -D ${rule}`);
  };
}

export function watchTests(cluster: () => Cluster): void {
  for (const how of ['reset', 'silence'] as const)
    test(`watches that break (${how}): what changed in the meantime arrives exactly, and what changes afterwards`, {
      skip: without('node'),
    }, async (t) => {
      const { apply, kubectl } = cluster();
      await apply(alias('a', 'a-1'));
      await apply(alias('b', 'b-1'));
      await exactly(cluster(), { a: 'a-1', b: 'b-1', c: undefined });
      await withoutFailures(
        cluster(),
        (line) => t.diagnostic(line),
        async () => {
          const mend = await cut(cluster(), how);
          try {
            await kubectl('delete', 'serviceentry,virtualservice', 'a');
            await apply(alias('b', 'b-2'));
            await apply(alias('c', 'c-1'));
            // Long enough that connections are given up: probes of idle ones take 40 s.
            await new Promise((resolve) => setTimeout(resolve, how === 'reset' ? 5000 : 45_000));
          } finally {
            await mend();
          }
          const mended = Date.now();
          await exactly(cluster(), { a: undefined, b: 'b-2', c: 'c-1' });
          t.diagnostic(`the changes were there ${Math.round((Date.now() - mended) / 1000)} s after the connection`);
          await kubectl('delete', 'serviceentry,virtualservice', 'b');
          await exactly(cluster(), { a: undefined, b: undefined, c: 'c-1' });
          await proxiesInSync(cluster(), 4);
        },
      );
      await kubectl('delete', 'serviceentry,virtualservice', 'c');
    });

  test('etcd is compacted and the API server starts again while watches are cut: they begin anew, and nothing is lost or left over', {
    skip: without('node', 'etcdCompact', 'apiServerStop', 'apiServerStart'),
  }, async (t) => {
    const { apply, kubectl } = cluster();
    await apply(alias('a', 'a-1'));
    await apply(alias('b', 'b-1'));
    await exactly(cluster(), { a: 'a-1', b: 'b-1', c: undefined });
    await withoutFailures(
      cluster(),
      (line) => t.diagnostic(line),
      async () => {
        const mend = await cut(cluster(), 'reset');
        try {
          await kubectl('delete', 'serviceentry,virtualservice', 'a');
          await apply(alias('b', 'b-2'));
          await apply(alias('c', 'c-1'));
          await apply(routes('compacted'));
          t.diagnostic((await hook('etcdCompact')).trim());
          // Its caches begin at what etcd has now: older versions are "410 Gone" for those who come back with them.
          await hook('apiServerStop');
          await startApiServer(cluster());
        } finally {
          await mend();
        }
        await exactly(cluster(), { a: undefined, b: 'b-2', c: 'c-1' });
        await eventually('the marks', async () =>
          assert.deepEqual(await callFromClient(cluster(), 'server'), { status: 200, mark: 'compacted' }),
        );
        await kubectl('delete', 'serviceentry,virtualservice', 'b');
        await exactly(cluster(), { a: undefined, b: undefined, c: 'c-1' });
        await proxiesInSync(cluster(), 4);
      },
    );
    await kubectl('delete', 'serviceentry,virtualservice', 'c');
  });
}
