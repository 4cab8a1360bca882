// The console on Kubernetes' own API server, with its manifest as it is and not one right more. Runs where the server's binaries are.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { customResourceDefinitions } from '@istio-ts/api/crds';
import type {
  ApiError,
  ConfigDetail,
  ConfigList,
  DashboardList,
  Detail,
  Graph,
  ObjectName,
  Rights,
  Session,
} from '@istio-ts/console/api';
import { gatewayClasses, world } from './real-console/world.ts';
import { freePorts } from './support/ports.ts';
import { obstacleToRealApiServer, type RealApiServer, startRealApiServer } from './support/real-api-server.ts';
import { run, until } from './support/shell.ts';

const root = join(import.meta.dirname, '..');
const program = join(root, 'dist', 'bin', 'console.mjs');
const manifest = join(root, 'samples', 'addons', 'extras', 'console.yaml');
const reason =
  obstacleToRealApiServer() ?? (existsSync(program) ? undefined : 'the programs are not built: run npm run build');

/** Prometheus and a trace store that know nothing: what they would say is tested elsewhere. */
const emptySources = (): Server =>
  createServer((request, response) => {
    const data = request.url?.startsWith('/jaeger') ? [] : { resultType: 'vector', result: [] };
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ status: 'success', data }));
  });

interface Audited {
  readonly verb: string;
  readonly requestURI: string;
  readonly user: { readonly username?: string };
  readonly responseStatus?: { readonly code?: number };
}

describe('the console on an API server of Kubernetes', { skip: reason ?? false, timeout: 600_000 }, () => {
  const directory = mkdtempSync(join(tmpdir(), 'istio-ts-real-console-'));
  const auditLog = join(directory, 'audit.log');
  const running: ChildProcess[] = [];
  const sources = emptySources();
  let server: RealApiServer | undefined;
  /** With --auth-strategy=token as in the manifest, and as it is described for looking without a token. */
  let port = 0;
  let openPort = 0;

  const kubectl = async (args: readonly string[], input?: string): Promise<string> => {
    const { stdout, stderr, exitCode } = await run('kubectl', args, {
      env: { ...process.env, KUBECONFIG: server?.kubeconfig },
      ...(input !== undefined && { input }),
    });
    if (exitCode !== 0) throw new Error(`kubectl ${args.join(' ')}: ${stderr}`);
    return stdout;
  };
  const apply = (...objects: readonly object[]): Promise<string> =>
    kubectl(['apply', '--server-side', '-f', '-'], objects.map((each) => JSON.stringify(each)).join('\n'));
  const tokenOf = async (account: string, namespace: string): Promise<string> =>
    (await kubectl(['create', 'token', account, '-n', namespace])).trim();
  const bind = (account: string, from: string, role: string, namespace?: string): Promise<string> =>
    kubectl([
      'create',
      namespace === undefined ? 'clusterrolebinding' : 'rolebinding',
      `${account}-${role}`,
      `--clusterrole=${role}`,
      `--serviceaccount=${from}:${account}`,
      ...(namespace === undefined ? [] : ['-n', namespace]),
    ]);
  const person = async (name: string, ...roles: readonly (readonly [role: string, namespace?: string])[]) => {
    await kubectl(['create', 'serviceaccount', name, '-n', 'default']);
    for (const [role, namespace] of roles) await bind(name, 'default', role, namespace);
    return tokenOf(name, 'default');
  };
  /** Starts the program with the rights of a service account and nothing else. */
  const start = async (account: string, strategy: string): Promise<number> => {
    const [own = 0] = await freePorts(1);
    const kubeconfig = server?.kubeconfigFor(account, await tokenOf(account, 'istio-system')) ?? '';
    const source = `http://127.0.0.1:${(sources.address() as AddressInfo).port}`;
    const child = spawn(
      process.execPath,
      [
        program,
        'server',
        '--host=127.0.0.1',
        `--port=${own}`,
        `--kubeconfig=${kubeconfig}`,
        `--auth-strategy=${strategy}`,
        ...['prometheus', 'grafana', 'loki'].map((name) => `--${name}-url=${source}`),
        `--tracing-url=${source}/jaeger`,
      ],
      { stdio: 'ignore' },
    );
    running.push(child);
    await until('the console to answer', async () => (await fetch(`http://127.0.0.1:${own}/healthz`)).ok || undefined);
    return own;
  };
  const ask = async <T = unknown>(
    where: number,
    path: string,
    token?: string,
    body?: object,
    method = body ? 'POST' : 'GET',
  ): Promise<{ readonly status: number; readonly json: T; readonly text: string }> => {
    const response = await fetch(`http://127.0.0.1:${where}${path}`, {
      method,
      headers: {
        'x-istio-console': '1',
        ...(token !== undefined && { authorization: `Bearer ${token}` }),
        ...(body && { 'content-type': 'application/json' }),
      },
      ...(body && { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    let json: unknown;
    try {
      json = JSON.parse(text);
    } catch {
      json = undefined;
    }
    return { status: response.status, json: json as T, text };
  };
  const audited = (): readonly Audited[] =>
    readFileSync(auditLog, 'utf8')
      .split('\n')
      .flatMap((line) => {
        try {
          return [JSON.parse(line) as Audited];
        } catch {
          // The last line may be half written.
          return [];
        }
      });
  /** Requests of a service account that the API server has refused. */
  const refusals = (username: string): readonly string[] =>
    audited()
      .filter(({ user, responseStatus }) => user.username === username && responseStatus?.code === 403)
      .map(({ verb, requestURI }) => `${verb} ${requestURI}`);

  before(async () => {
    const policy = join(directory, 'audit.yaml');
    writeFileSync(
      policy,
      'apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: Metadata, omitStages: [RequestReceived]}]\n',
    );
    server = await startRealApiServer(directory, [`--audit-policy-file=${policy}`, `--audit-log-path=${auditLog}`]);
    await new Promise<void>((resolve) => sources.listen(0, '127.0.0.1', resolve));
    for (const name of ['istio-system', 'shop', 'bank']) await kubectl(['create', 'namespace', name]);
    await kubectl(['label', 'namespace', 'shop', 'istio-injection=enabled']);
    await apply(...(customResourceDefinitions() as readonly object[]), gatewayClasses);
    await kubectl(['wait', '--for=condition=Established', 'crd', '--all', '--timeout=120s']);
    await apply(...world);
    for (const [name, namespace] of [
      ['cart-0', 'shop'],
      ['istiod-0', 'istio-system'],
    ] as const)
      await kubectl([
        'patch',
        'pod',
        name,
        '-n',
        namespace,
        '--subresource=status',
        '--patch',
        JSON.stringify({ status: { phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] } }),
      ]);
    await kubectl(['apply', '--server-side', '-f', manifest]);
    port = await start('istio-console', 'token');
  });
  after(async () => {
    for (const child of running) child.kill('SIGKILL');
    sources.close();
    await server?.close();
    rmSync(directory, { recursive: true, force: true });
  });

  /** Everything that the pages ask for to look at a mesh. */
  const everything = async (where: number, token: string | undefined, namespaces: string): Promise<void> => {
    const fine = async <T>(path: string, body?: object): Promise<T> => {
      const { status, json, text } = await ask<T>(where, path, token, body);
      assert.equal(status, 200, `${path}: ${text.slice(0, 500)}`);
      return json;
    };
    await fine('/api/session');
    await fine(`/api/namespaces?namespaces=${namespaces}`);
    for (const type of ['app', 'versionedApp', 'workload', 'service']) {
      const { warnings, nodes } = await fine<Graph>(`/api/graph?type=${type}&namespaces=${namespaces}`);
      assert.deepEqual([warnings, nodes.length > 0], [[], true]);
    }
    const seen: ObjectName[] = [];
    for (const [sort, name] of [
      ['services', 'cart'],
      ['workloads', 'cart'],
      ['apps', 'cart'],
    ] as const) {
      await fine(`/api/${sort}?namespaces=${namespaces}`);
      seen.push(...(await fine<Detail>(`/api/${sort}/shop/${name}`)).config);
    }
    const configuration = await fine<ConfigList>(`/api/config?namespaces=${namespaces}`);
    assert.deepEqual(configuration.missing, undefined);
    seen.push(...configuration.items);
    // What links lead to, too.
    const opened = new Set<string>();
    for (const { kind, namespace, name } of seen) {
      const path = `/api/config/${kind}/${namespace || '-'}/${name}`;
      if (opened.has(path)) continue;
      opened.add(path);
      for (const other of (await fine<ConfigDetail>(path)).references) seen.push(other);
    }
    assert.ok(opened.has('/api/config/VirtualService/shop/cart') && opened.has('/api/config/Service/shop/cart'));
    await fine('/api/rights?namespace=shop&kinds=VirtualService,DestinationRule&verbs=list,create,update');
    const yaml = 'apiVersion: networking.istio.io/v1\nkind: Sidecar\nmetadata: {name: a, namespace: shop}\nspec: {}\n';
    await fine('/api/config/check', { yaml });
    const [dashboard] = (await fine<DashboardList>('/api/dashboards')).items;
    await fine(`/api/dashboards/${dashboard?.uid}`);
    await fine('/api/traces');
    // There is no node behind this API server: what it passes on to a kubelet fails, and not for want of rights.
    for (const path of ['/api/logs/shop/cart-0', '/api/logs?app=shop/cart', '/api/logs?workload=shop/cart-0']) {
      const { status, text } = await ask(where, path, token);
      assert.ok(status !== 401 && status !== 403 && status !== 404, `${path}: ${status} ${text}`);
    }
  };
  /** State and configuration of proxies: through port-forwards. */
  const proxies = async (where: number, token?: string): Promise<void> => {
    const request = {
      namespace: 'shop',
      pod: 'cart-0',
      direction: 'outbound',
      method: 'GET',
      url: 'http://cart/',
      headers: {},
    };
    for (const [path, body] of [['/api/proxies'], ['/api/proxies/shop/cart-0'], ['/api/explain', request]] as const) {
      const { status, text } = await ask(where, path, token, body);
      assert.ok(status !== 401 && status !== 403 && status !== 404, `${path}: ${status} ${text}`);
    }
  };
  const account = (name: string, namespace = 'default') => `system:serviceaccount:${namespace}:${name}`;

  test('its roles name what they allow: no wildcard, no Secret', async () => {
    const { items } = JSON.parse(await kubectl(['get', 'clusterrole', '-l', 'app=istio-console', '-o', 'json'])) as {
      readonly items: readonly { readonly rules: readonly Readonly<Record<string, readonly string[]>>[] }[];
    };
    assert.equal(items.length, 4);
    const words = items.flatMap(({ rules }) => rules.flatMap((rule) => Object.values(rule).flat()));
    assert.ok(!words.includes('*') && !words.includes('secrets'), words.join());
  });

  test('tokens are checked, and who has none learns nothing', async () => {
    assert.equal((await ask(port, '/api/namespaces')).status, 401);
    assert.equal((await ask(port, '/api/namespaces', 'nonsense')).status, 401);
    const nobody = await person('nobody');
    const { json } = await ask<Session>(port, '/api/session', nobody);
    assert.deepEqual([json.user, json.mayWrite], [account('nobody'), false]);
    assert.deepEqual((await ask<{ items: unknown[] }>(port, '/api/namespaces', nobody)).json.items, []);
    assert.equal((await ask(port, '/api/graph?namespaces=shop', nobody)).status, 403);
  });

  test('a viewer can look at everything: the API server refuses nothing of all that is asked', async () => {
    const viewer = await person('viewer', ['istio-console-viewer'], ['istio-console-proxies']);
    await everything(port, viewer, 'shop,bank,istio-system');
    const cluster = await ask<ConfigList>(port, '/api/config', viewer);
    assert.deepEqual(
      cluster.json.items.filter(({ namespace }) => namespace === '').map(({ kind, name }) => `${kind} ${name}`),
      ['GatewayClass istio', 'ValidatingWebhookConfiguration istio-validator'],
    );
    assert.equal((await ask(port, '/api/config/GatewayClass/-/istio', viewer)).status, 200);
    assert.equal((await ask(port, '/api/config/ValidatingWebhookConfiguration/-/istio-validator', viewer)).status, 200);
    assert.equal((await ask(port, '/api/config/Namespace/-/shop', viewer)).status, 200);
    assert.equal((await ask(port, '/api/query?query=up', viewer)).status, 200);
    await proxies(port, viewer);
    assert.deepEqual(refusals(account('viewer')), []);

    // What a viewer may not do, in words.
    const secret = await ask<ApiError>(port, '/api/config/Secret/shop/edge', viewer);
    assert.equal(secret.status, 403);
    assert.match(secret.json.message, /^You may not get secrets in namespace shop/);
    // And that refusal is on record, as each other would be.
    await until(
      'the refusal to be recorded',
      async () => refusals(account('viewer')).some((each) => each.includes('/secrets/edge')) || undefined,
    );
    const yaml = 'apiVersion: networking.istio.io/v1\nkind: Sidecar\nmetadata: {name: a, namespace: shop}\nspec: {}\n';
    const written = await ask<ApiError>(port, '/api/config', viewer, { yaml });
    assert.equal(written.status, 403);
    assert.deepEqual(
      written.json.missing?.map(({ verb, resource }) => `${verb} ${resource}`),
      ['create sidecars'],
    );
  });

  test('who may look into one namespace sees that one', async () => {
    const guest = await person('guest', ['istio-console-viewer', 'shop']);
    await everything(port, guest, 'shop');
    assert.equal((await ask(port, '/api/graph?namespaces=bank', guest)).status, 403);
    // Lists of the whole cluster are refused, and the console goes on without them.
    const { json } = await ask<ConfigList>(port, '/api/config', guest);
    assert.equal(json.missing, undefined);
    assert.deepEqual([...new Set(json.items.map(({ namespace }) => namespace))], ['shop']);
  });

  test('an editor makes, changes and deletes', async () => {
    const editor = await person('editor', ['istio-console-viewer'], ['istio-console-editor', 'shop']);
    const { json } = await ask<Session>(port, '/api/session', editor);
    assert.equal(json.mayWrite, true);
    const rights = '/api/rights?kinds=VirtualService,DestinationRule&verbs=list,create,update,delete&namespace=';
    assert.deepEqual((await ask<Rights>(port, `${rights}shop`, editor)).json.missing, []);
    assert.equal((await ask<Rights>(port, `${rights}bank`, editor)).json.missing.length, 6);
    const yaml = (mode: string) =>
      `apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: more, namespace: shop}\nspec: {mtls: {mode: ${mode}}, selector: {matchLabels: {app: cart}}}\n`;
    const path = '/api/config/PeerAuthentication/shop/more';
    const made = await ask<ConfigDetail>(port, '/api/config', editor, { yaml: yaml('STRICT') });
    assert.equal(made.status, 200, made.text);
    const { resourceVersion } = made.json;
    const changed = await ask<ConfigDetail>(port, path, editor, { yaml: yaml('PERMISSIVE'), resourceVersion }, 'PUT');
    assert.equal(changed.status, 200, changed.text);
    assert.match(changed.json.yaml, /PERMISSIVE/);
    assert.equal((await ask(port, path, editor, { yaml: yaml('STRICT'), resourceVersion }, 'PUT')).status, 409);
    assert.equal((await ask(port, path, editor, undefined, 'DELETE')).status, 200);
    assert.equal((await ask(port, path, editor)).status, 404);
  });

  test('looking without a token: the console’s own account with the role for viewers, and nothing is changed', async () => {
    // The console itself has done with the rights of its manifest until now.
    assert.deepEqual(refusals(account('istio-console', 'istio-system')), []);
    await bind('istio-console', 'istio-system', 'istio-console-viewer');
    await bind('istio-console', 'istio-system', 'istio-console-proxies');
    openPort = await start('istio-console', 'anonymous');
    const { json } = await ask<Session>(openPort, '/api/session');
    assert.deepEqual([json.user, json.mayWrite], ['anonymous', false]);
    await everything(openPort, undefined, 'shop,bank,istio-system');
    await proxies(openPort);
    const yaml = 'apiVersion: networking.istio.io/v1\nkind: Sidecar\nmetadata: {name: a, namespace: shop}\nspec: {}\n';
    assert.equal((await ask(openPort, '/api/config', undefined, { yaml })).status, 403);
    assert.deepEqual(refusals(account('istio-console', 'istio-system')), []);
  });
});
