import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eventually, until } from '../../support/shell.ts';
import { echo, istio, manifest, service, type World, workload } from './world.ts';

/** Who may talk to whom, and how: PeerAuthentication and AuthorizationPolicy. */
export function access(world: () => World): void {
  const apply = (...objects: readonly object[]) => world().cluster.apply(manifest(objects), 'traffic');
  const guarded = { app: 'guarded' };
  const url = (path = '/', port = 8080) => `http://guarded.traffic:${port}${path}`;
  const status = async (from: 'client' | 'stranger', path: string, method = 'GET') =>
    (await world()[from].call({ url: url(path), method })).status;

  test('PERMISSIVE, STRICT, and modes of single ports', async () => {
    await apply(service('guarded', guarded), ...workload({ name: 'guarded', app: 'guarded', program: 'origin' }));
    await world().cluster.podsReady('traffic', 'app=guarded');
    for (const from of ['client', 'stranger'] as const)
      await until(`an answer for the ${from}`, async () => ((await status(from, '/')) === 200 ? true : undefined));
    const identity = async () => echo(await world().client.call(url())).headers['x-forwarded-client-cert'];
    /** Connections from before a change end with it, so a single request may fail. */
    const mutual = () =>
      eventually('mutual TLS', async () => {
        for (let turn = 0; turn < 3; turn++) assert.match((await identity()) ?? '', /sa\/client/);
      });
    await mutual();
    const mode = (spec: object) =>
      apply(istio('PeerAuthentication', 'guarded', { selector: { matchLabels: guarded }, ...spec }));

    await mode({ mtls: { mode: 'STRICT' } });
    await until('plain text to be refused', async () => ((await status('stranger', '/')) === 0 ? true : undefined));
    await mutual();

    await mode({ mtls: { mode: 'STRICT' }, portLevelMtls: { 8080: { mode: 'PERMISSIVE' } } });
    await until('plain text on the port that permits it', async () =>
      (await status('stranger', '/')) === 200 ? true : undefined,
    );
    await mutual();

    await mode({ mtls: { mode: 'STRICT' }, portLevelMtls: { 8080: { mode: 'DISABLE' } } });
    await until('plain text between sidecars', async () => ((await identity()) === undefined ? true : undefined));
    await eventually('plain text from outside', async () => assert.equal(await status('stranger', '/'), 200));

    await world().cluster.kubectl('delete', 'peerauthentication', '-n', 'traffic', 'guarded');
    await mutual();
  });

  test('ALLOW and DENY by principal, path and method', async () => {
    const policy = (name: string, action: string, rules: readonly object[]) =>
      istio('AuthorizationPolicy', name, { selector: { matchLabels: guarded }, action, rules });
    await apply(
      policy('allow', 'ALLOW', [
        {
          from: [{ source: { principals: ['cluster.local/ns/traffic/sa/client'] } }],
          to: [{ operation: { methods: ['GET'] } }],
        },
        { to: [{ operation: { paths: ['/public/*', '/ready'] } }] },
      ]),
      policy('deny', 'DENY', [{ to: [{ operation: { paths: ['/admin*'] } }] }]),
    );
    // A connection from before the change has its old rules for one request more: only answers in a row tell.
    const settles = (from: 'client' | 'stranger', path: string, wanted: number, method = 'GET') =>
      until(`${method} ${path} of the ${from} to be answered with ${wanted}`, async () => {
        const answers = await world()[from].calls({ url: url(path), method, times: 5 });
        return answers.every((seen) => seen.status === wanted) ? true : undefined;
      });
    await settles('stranger', '/', 403);
    await settles('client', '/admin', 403);
    await settles('client', '/', 200);
    await settles('client', '/', 403, 'POST');
    await settles('client', '/public/x', 200, 'POST');
    await settles('stranger', '/public/x', 200);
    await eventually('the reason', async () =>
      assert.equal((await world().stranger.call(url('/'))).text, 'RBAC: access denied'),
    );
    await apply(policy('allow', 'ALLOW', []));
    await settles('client', '/', 403);
    await world().cluster.kubectl('delete', 'authorizationpolicy', '-n', 'traffic', 'allow', 'deny');
    await settles('stranger', '/', 200);
  });
}
