import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { deployment, eventually, HAS_KUBECTL, startTestServer, type TestServer } from './test-support.ts';

const BOUTIQUE =
  process.env.ISTIO_TS_BOUTIQUE ??
  join(import.meta.dirname, '../../../../samples/online-boutique/kubernetes-manifests.yaml');

describe('kubectl', { skip: HAS_KUBECTL ? false : 'there is no kubectl on this machine' }, () => {
  let server: TestServer;
  before(async () => {
    server = await startTestServer();
  });
  after(() => server.close());

  const run = async (args: string, input = ''): Promise<string> => {
    const { code, stdout, stderr } = await server.kubectl(args.split(' '), input);
    assert.equal(code, 0, `kubectl ${args}: ${stderr}`);
    return stdout;
  };
  const fails = async (args: string, input = ''): Promise<string> => {
    const { code, stderr } = await server.kubectl(args.split(' '), input);
    assert.notEqual(code, 0);
    return stderr;
  };

  it('applies, labels, annotates, patches, scales and deletes', async () => {
    const manifest = JSON.stringify(deployment('web'));
    assert.match(await run('apply -f -', manifest), /web created/);
    assert.match(await run('apply -f -', manifest), /web unchanged/);
    await run('label deployment web tier=front');
    await run('annotate deployment web note=x');
    await run('set image deployment/web app=app:2');
    await run('scale deployment web --replicas=3');
    await run('rollout restart deployment/web');
    await run('patch deployment web --type=json -p [{"op":"replace","path":"/spec/replicas","value":5}]');
    assert.equal(
      await run(
        'get deployment web -o jsonpath={.spec.replicas}/{.metadata.labels.tier}/{.spec.template.spec.containers[0].image}',
      ),
      '5/front/app:2',
    );
    assert.match(await run('apply --server-side --force-conflicts -f -', manifest), /web serverside-applied/);
    assert.match(await run('describe deployment web'), /RollingUpdateStrategy: +25% max unavailable, 25% max surge/);
    await run('delete deployment web');
    assert.match(await fails('get deployment web'), /deployments\.apps "web" not found/);
  });

  it('creates with its own commands, which speak protobuf', async () => {
    await run('create namespace own');
    await run('create deployment own --image=nginx:1.27 --replicas=2 --port=80 -n own');
    await run('create configmap own --from-literal=a=b -n own');
    await run('create secret generic own --from-literal=a=b -n own');
    await run('expose deployment own --port=80 --target-port=8080 -n own');
    await run('create serviceaccount own -n own');
    await run('create role own --verb=get --resource=pods -n own');
    await run('create rolebinding own --role=own --serviceaccount=own:own -n own');
    await run('create job own --image=busybox -n own -- echo hi');
    assert.equal(
      await run(
        'get deployment own -n own -o jsonpath={.spec.replicas}/{.spec.template.spec.containers[0].ports[0].containerPort}',
      ),
      '2/80',
    );
    assert.equal(await run('get secret own -n own -o jsonpath={.data.a}'), 'Yg==');
    assert.equal((await run('auth can-i get pods -n own --as=system:serviceaccount:own:own')).trim(), 'yes');
    assert.equal((await run('create token own -n own')).trim().split('.').length, 3);
    await run('delete namespace own');
  });

  it('shows tables', async () => {
    const lines = (await run('get services -A')).split('\n');
    assert.match(lines[0] ?? '', /^NAMESPACE +NAME +TYPE +CLUSTER-IP +EXTERNAL-IP +PORT\(S\) +AGE$/);
    assert.match(lines[1] ?? '', /^default +kubernetes +ClusterIP +10\.96\.0\.1 +<none> +443\/TCP +\d+s$/);
    assert.match(await run('api-resources'), /deployments +deploy +apps\/v1 +true +Deployment/);
    assert.match(await run('get all'), /service\/kubernetes/);
  });

  it('explains', async () => {
    const text = await run('explain deployment.spec.strategy');
    assert.match(text, /rollingUpdate\t<RollingUpdateDeployment>/);
  });

  it('tells differences, and edits', async () => {
    await run('apply -f -', JSON.stringify(deployment('differing')));
    const { code, stdout } = await server.kubectl(
      ['diff', '-f', '-'],
      JSON.stringify(deployment('differing', { replicas: 7 })),
    );
    assert.equal(code, 1);
    assert.match(stdout, /- {2}replicas: 1\n\+ {2}replicas: 7/);
    const edited = await server.kubectl(['edit', 'deployment', 'differing'], '', {
      EDITOR: 'sed -i "s/replicas: 1/replicas: 4/"',
    });
    assert.equal(edited.code, 0, edited.stderr);
    assert.equal(await run('get deployment differing -o jsonpath={.spec.replicas}'), '4');
  });

  it('reports mistakes', async () => {
    const wrong = deployment('wrong');
    assert.match(
      await fails('apply -f -', JSON.stringify({ ...wrong, spec: { ...(wrong.spec as object), replica: 1 } })),
      /strict decoding error: unknown field "spec\.replica"/,
    );
    assert.match(
      await fails(
        'apply -f -',
        JSON.stringify({ ...wrong, spec: { ...(wrong.spec as object), selector: { matchLabels: { a: 'b' } } } }),
      ),
      /`selector` does not match template `labels`/,
    );
    assert.match(
      await fails('apply -f -', JSON.stringify({ ...wrong, spec: { ...(wrong.spec as object), replicas: 'many' } })),
      /cannot unmarshal string into Go struct field .*spec\.replicas/,
    );
  });

  it('watches', async () => {
    const child = spawn('kubectl', ['get', 'configmaps', '-w', '-o', 'name'], {
      env: { ...process.env, KUBECONFIG: join(server.directory, 'kubeconfig') },
    });
    let seen = '';
    child.stdout.on('data', (chunk) => {
      seen += String(chunk);
    });
    await eventually(
      async () => seen,
      (text) => text.includes('kube-root-ca.crt'),
    );
    await run('create configmap watched');
    await eventually(
      async () => seen,
      (text) => text.includes('configmap/watched'),
    );
    child.kill();
  });

  const runningPod = async (name: string) => {
    await run(`run ${name} --image=app`);
    const status = {
      phase: 'Running',
      containerStatuses: [{ name, ready: true, restartCount: 0, image: 'app', imageID: '', state: { running: {} } }],
    };
    await server.call(
      'PATCH',
      `/api/v1/namespaces/default/pods/${name}/status`,
      { status },
      { 'content-type': 'application/merge-patch+json' },
    );
  };

  it('reads logs and runs commands, over WebSocket and over SPDY', async () => {
    await runningPod('shell');
    assert.equal(await run('logs shell'), 'log of shell/shell\n');
    for (const webSockets of ['true', 'false']) {
      const env = { KUBECTL_REMOTE_COMMAND_WEBSOCKETS: webSockets };
      const failed = await server.kubectl(
        ['exec', 'shell', '--', 'sh', '-c', 'echo out; echo err >&2; exit 3'],
        '',
        env,
      );
      assert.deepEqual([failed.code, failed.stdout], [3, 'out\n']);
      assert.match(failed.stderr, /^err\n/);
      const large = 'x'.repeat(300_000);
      const echoed = await server.kubectl(['exec', '-i', 'shell', '--', 'cat'], large, env);
      assert.equal(echoed.stdout.length, large.length);
      const missing = await server.kubectl(['exec', 'shell', '--', '/does/not/exist'], '', env);
      assert.notEqual(missing.code, 0);
      assert.match(missing.stderr, /ENOENT/);
    }
  });

  it('forwards ports, over WebSocket and over SPDY', async () => {
    await runningPod('web');
    const web = createServer((request, response) =>
      response.end(request.url === '/large' ? Buffer.alloc(5_000_000, 'a') : `path ${request.url ?? ''}`),
    );
    await new Promise<void>((resolve) => web.listen(0, '127.0.0.1', resolve));
    const { port } = web.address() as AddressInfo;
    for (const webSockets of ['true', 'false']) {
      const env = {
        ...process.env,
        KUBECONFIG: join(server.directory, 'kubeconfig'),
        KUBECTL_PORT_FORWARD_WEBSOCKETS: webSockets,
      };
      const child = spawn('kubectl', ['port-forward', '--address=127.0.0.1', 'pod/web', `:${port}`], { env });
      let output = '';
      child.stdout.on('data', (chunk) => {
        output += String(chunk);
      });
      const text = await eventually(
        async () => output,
        (shown) => /127\.0\.0\.1:\d+/.test(shown),
      );
      const local = `http://127.0.0.1:${/127\.0\.0\.1:(\d+)/.exec(text)?.[1] ?? ''}`;
      assert.equal(await (await fetch(`${local}/x`)).text(), 'path /x');
      const all = await Promise.all(
        ['/1', '/2', '/large'].map(async (path) => (await (await fetch(local + path)).text()).length),
      );
      assert.deepEqual(all, [7, 7, 5_000_000]);
      child.kill();
    }
    web.closeAllConnections();
    web.close();
  });

  it('deploys Online Boutique', async () => {
    const manifest = readFileSync(BOUTIQUE, 'utf8');
    await run('create namespace shop');
    const created = await run('apply -n shop -f -', manifest);
    const again = await run('apply -n shop -f -', manifest);
    assert.ok(created.split('\n').filter((line) => line.endsWith(' created')).length > 30);
    assert.deepEqual(
      again.split('\n').filter((line) => line !== '' && !line.endsWith(' unchanged')),
      [],
    );
    const applied = await run('apply --server-side -n shop -f -', manifest);
    assert.equal(
      applied
        .trim()
        .split('\n')
        .filter((line) => !line.endsWith(' serverside-applied')).length,
      0,
    );
    await run('delete namespace shop --timeout=30s');
    assert.match(await fails('get namespace shop'), /not found/);
  });
});
