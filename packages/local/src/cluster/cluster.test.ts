import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { freePort } from '@istio-ts/envoy/testing/free-port';
import { clusterNamespaces } from './cleanup.ts';
import { clusterStatus, downCluster, upCluster } from './life-cycle.ts';
import { clusterLayout } from './layout.ts';
import { readProcessFile } from './process-file.ts';

// A whole cluster, as its users see it: plain kubectl, and the host's own sockets. Needs root and kubectl.
const kubectlPath = (process.env.PATH ?? '')
  .split(':')
  .map((directory) => join(directory, 'kubectl'))
  .find((path) => fs.existsSync(path));
const skip = process.getuid?.() !== 0 ? 'needs root' : kubectlPath === undefined ? 'needs kubectl' : false;

const name = `t${process.pid}`;
const home = fs.mkdtempSync(join(tmpdir(), 'istio-local-'));
const children: ChildProcess[] = [];

interface Result {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

function run(args: readonly string[], input?: string, timeout = 180_000): Promise<Result> {
  return new Promise((resolve) => {
    const child = spawn(kubectlPath ?? 'kubectl', args, { stdio: ['pipe', 'pipe', 'pipe'] });
    let stdout = '';
    let stderr = '';
    const timer = setTimeout(() => child.kill('SIGKILL'), timeout);
    child.stdout.on('data', (data) => {
      stdout += data;
    });
    child.stderr.on('data', (data) => {
      stderr += data;
    });
    child.on('close', (code) => {
      clearTimeout(timer);
      resolve({ code: code ?? 255, stdout, stderr });
    });
    child.stdin.on('error', () => {});
    child.stdin.end(input ?? '');
  });
}

async function kubectl(args: string, input?: string): Promise<string> {
  const { code, stdout, stderr } = await run(args.split(' '), input);
  assert.equal(code, 0, `kubectl ${args}: ${stderr}`);
  return stdout.trim();
}

async function until<T>(what: string, look: () => Promise<T | undefined | false>, timeout = 120_000): Promise<T> {
  const deadline = Date.now() + timeout;
  let last: unknown;
  while (Date.now() < deadline) {
    try {
      const value = await look();
      if (value !== undefined && value !== false) return value;
    } catch (error) {
      last = error;
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`${what} did not happen: ${String(last ?? 'no error')}`);
}

async function fetchText(url: string): Promise<string> {
  const response = await fetch(url, { headers: { connection: 'close' }, signal: AbortSignal.timeout(20_000) });
  return (await response.text()).trim();
}

const IMAGES = `
images:
  - match: example.com/echo
    entrypoint: [node, /app/echo.mjs]
    user: 1000
    files:
      - path: /app/echo.mjs
        content: |
          import http from 'node:http'; import os from 'node:os'; import fs from 'node:fs';
          let healthy = true;
          process.on('SIGTERM', () => { console.log('terminating'); process.exit(0); });
          http.createServer((request, response) => {
            if (request.url === '/healthz') { response.statusCode = healthy ? 200 : 500; return response.end(); }
            console.log('request ' + request.url);
            if (request.url === '/fail') healthy = false;
            response.end([os.hostname(), process.env.COLOR, fs.readFileSync('/config/motto', 'utf8'), process.pid, process.getuid()].join(' '));
          }).listen(8080, () => console.log('listening'));
`;

const MANIFESTS = `
apiVersion: v1
kind: ConfigMap
metadata: { name: settings }
data: { motto: first, COLOR: red }
---
apiVersion: apps/v1
kind: Deployment
metadata: { name: echo }
spec:
  replicas: 2
  selector: { matchLabels: { app: echo } }
  template:
    metadata: { labels: { app: echo } }
    spec:
      terminationGracePeriodSeconds: 2
      initContainers:
      - { name: first, image: busybox, command: [sh, -c, "echo prepared > /shared/state"], volumeMounts: [{ name: shared, mountPath: /shared }] }
      containers:
      - name: echo
        image: example.com/echo:v1
        env: [{ name: COLOR, valueFrom: { configMapKeyRef: { name: settings, key: COLOR } } }]
        ports: [{ name: http, containerPort: 8080 }]
        readinessProbe: { httpGet: { path: /healthz, port: http } }
        livenessProbe: { httpGet: { path: /healthz, port: http }, periodSeconds: 1, failureThreshold: 2 }
        volumeMounts: [{ name: config, mountPath: /config }, { name: shared, mountPath: /shared }]
      volumes: [{ name: config, configMap: { name: settings } }, { name: shared, emptyDir: { medium: Memory } }]
---
apiVersion: v1
kind: Service
metadata: { name: echo }
spec:
  type: LoadBalancer
  selector: { app: echo }
  ports: [{ name: http, port: PORT, targetPort: http }]
---
apiVersion: v1
kind: Service
metadata: { name: nobody }
spec: { selector: { app: nobody }, ports: [{ port: 80 }] }
---
apiVersion: v1
kind: Pod
metadata: { name: shell, labels: { tier: tools } }
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: shell
    image: busybox
    command: [sleep, "100000"]
    volumeMounts: [{ name: facts, mountPath: /facts }]
  volumes: [{ name: facts, downwardAPI: { items: [{ path: labels, fieldRef: { fieldPath: metadata.labels } }] } }]
---
apiVersion: v1
kind: Pod
metadata: { name: stranger }
spec: { containers: [{ name: stranger, image: "nowhere.example/strange:v9" }] }
`;

describe('a local cluster', { skip, timeout: 900_000 }, () => {
  let port = 0;
  let address = '';

  before(async () => {
    process.env.ISTIO_TS_HOME = home;
    process.env.KUBECONFIG = join(home, 'kubeconfig');
    port = await freePort();
    const layout = clusterLayout(name);
    fs.mkdirSync(layout.root, { recursive: true });
    fs.writeFileSync(layout.imageTable, IMAGES);
    const steps: string[] = [];
    const info = await upCluster({ name, envoy: '/bin/true', apiPort: await freePort() }, (step) => steps.push(step));
    assert.equal(info.alreadyRunning, false);
    assert.equal(info.context, name);
    assert(steps.length > 0);
  });

  after(async () => {
    for (const child of children) child.kill('SIGKILL');
    await downCluster(name, { wipe: true });
    fs.rmSync(home, { recursive: true, force: true });
  });

  it('is found running by a second up', async () => {
    const info = await upCluster({ name, envoy: '/bin/true' });
    assert.equal(info.alreadyRunning, true);
    assert.equal(await kubectl('config current-context'), name);
    assert.match(await kubectl('get nodes'), /Ready/);
  });

  it('rolls a deployment out', async () => {
    await kubectl('apply -f -', MANIFESTS.replace('PORT', String(port)));
    await kubectl('rollout status deployment/echo --timeout=30s');
    await kubectl('wait --for=condition=Ready pod/shell --timeout=20s');
    assert.equal(await kubectl('get deployment echo -o jsonpath={.status.readyReplicas}'), '2');
  });

  it('serves a LoadBalancer and a NodePort on loopback addresses of the host', async () => {
    address = await until('an external address', async () => {
      const value = await kubectl('get service echo -o jsonpath={.status.loadBalancer.ingress[0].ip}');
      return value !== '' && value;
    });
    assert.match(address, /^127\.0\.0\.\d+$/);
    const pods = new Set<string>();
    await until('answers of both pods', async () => {
      pods.add((await fetchText(`http://${address}:${port}/`)).split(' ')[0] ?? '');
      return pods.size === 2;
    });
    const nodePort = await kubectl('get service echo -o jsonpath={.spec.ports[0].nodePort}');
    // Process 1 of its own pid namespace, and the user of the image.
    assert.match(await fetchText(`http://127.0.0.1:${nodePort}/`), /^echo-\S+ red first 1 1000$/);
  });

  it('gives pods names, ClusterIPs and refusals inside the cluster', async () => {
    for (const host of ['echo', 'echo.default', 'echo.default.svc.cluster.local']) {
      assert.match(await kubectl(`exec shell -- curl -sS -m 5 http://${host}:${port}/`), /red first/);
    }
    const refused = await run(['exec', 'shell', '--', 'curl', '-sS', '-m', '5', 'http://nobody/']);
    assert.notEqual(refused.code, 0);
    assert.match(refused.stderr, /connect|refused/i);
    const unknown = await run(['exec', 'shell', '--', 'curl', '-sS', '-m', '10', 'http://no-such-service/']);
    assert.match(unknown.stderr, /resolve/i);
    const api = 'https://kubernetes.default.svc/version';
    const account = '/var/run/secrets/kubernetes.io/serviceaccount';
    assert.match(await kubectl(`exec shell -- curl -sS -m 5 --cacert ${account}/ca.crt ${api}`), /gitVersion/);
  });

  it('runs commands in containers, with input, exit code and both outputs', async () => {
    const result = await run(['exec', '-i', 'shell', '--', 'sh', '-c', 'cat; echo problem >&2; exit 7'], 'some input');
    assert.equal(result.stdout, 'some input');
    assert.match(result.stderr, /problem/);
    assert.equal(result.code, 7);
    assert.equal(await kubectl('exec shell -- sh -c hostname>/dev/stdout'), 'shell');
  });

  it('follows logs', async () => {
    const pod = await kubectl('get pods -l app=echo -o jsonpath={.items[0].metadata.name}');
    const child = spawn(kubectlPath ?? '', ['logs', '-f', pod], { stdio: ['ignore', 'pipe', 'ignore'] });
    children.push(child);
    let text = '';
    child.stdout.on('data', (data) => {
      text += data;
    });
    const ip = await kubectl(`get pod ${pod} -o jsonpath={.status.podIP}`);
    await until('the first line', async () => text.includes('listening'));
    await kubectl(`exec shell -- curl -sS -m 5 http://${ip}:8080/marked`);
    await until('the new line', async () => text.includes('request /marked'));
    child.kill();
    assert.match(await kubectl(`logs ${pod} --tail=1 --timestamps`), /^\d{4}-\d\d-\d\dT\S+Z request/);
  });

  it('forwards ports to the loopback address of a pod', async () => {
    const child = spawn(kubectlPath ?? '', ['port-forward', 'deployment/echo', ':8080'], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    children.push(child);
    let text = '';
    child.stdout.on('data', (data) => {
      text += data;
    });
    const local = await until('the forwarded port', async () => /127\.0\.0\.1:(\d+)/.exec(text)?.[1]);
    assert.match(await fetchText(`http://127.0.0.1:${local}/`), /red first/);
    assert.match(await fetchText(`http://127.0.0.1:${local}/`), /red first/);
    child.kill();
  });

  it('brings changes of ConfigMaps and labels into mounted volumes', async () => {
    await kubectl('patch configmap settings -p {"data":{"motto":"second"}}');
    await until('the new motto', async () => (await fetchText(`http://${address}:${port}/`)).includes('second'));
    await kubectl('label pod shell mood=good');
    await until('the new label', async () =>
      (await kubectl('exec shell -- cat /facts/labels')).includes('mood="good"'),
    );
  });

  it('restarts a container whose liveness probe fails', async () => {
    await fetchText(`http://${address}:${port}/fail`);
    await until('a restart', async () => {
      const counts = await kubectl(
        'get pods -l app=echo -o jsonpath={.items[*].status.containerStatuses[0].restartCount}',
      );
      return counts.split(' ').some((count) => Number(count) > 0);
    });
    assert.match(await kubectl('get events'), /Killing.*failed liveness probe/);
  });

  it('says which images it knows when one is unknown', async () => {
    const message = await until('the message', async () => {
      const value = await kubectl('get pod stranger -o jsonpath={.status.containerStatuses[0].state.waiting}');
      return /ErrImagePull|ImagePullBackOff/.test(value) && value;
    });
    assert.match(message, /nowhere\.example\/strange:v9 is unknown to this local cluster; known: .*busybox/);
    await kubectl('delete pod stranger');
  });

  it('restarts a rollout, scales, undoes, and deletes', async () => {
    await kubectl('rollout restart deployment/echo');
    await kubectl('rollout status deployment/echo --timeout=30s');
    await kubectl('scale deployment/echo --replicas=3');
    await kubectl('rollout status deployment/echo --timeout=30s');
    await kubectl('scale deployment/echo --replicas=1');
    await kubectl('rollout undo deployment/echo');
    await kubectl('rollout status deployment/echo --timeout=30s');
    await until('one pod', async () => (await kubectl('get pods -l app=echo -o name')).split('\n').length === 1);
    assert.match(await kubectl('rollout history deployment/echo'), /3/);
  });

  it('runs jobs to their end', async () => {
    await kubectl('create job sum --image=busybox -- expr 20 + 22');
    await kubectl('wait --for=condition=complete job/sum --timeout=20s');
    assert.equal(await kubectl('logs job/sum'), '42');
    await kubectl('delete job sum');
  });

  it('leaves pods alone when its process is killed, and comes back', async () => {
    const layout = clusterLayout(name);
    const before = await kubectl(
      'get pods -l app=echo -o jsonpath={.items[0].metadata.name}/{.items[0].status.containerStatuses[0].containerID}',
    );
    const old = readProcessFile(layout.clusterPid);
    assert(old !== undefined);
    process.kill(old, 'SIGKILL');
    await until('a new process', async () => {
      const pid = readProcessFile(layout.clusterPid);
      return pid !== undefined && pid !== old && clusterStatus(name).state === 'running';
    });
    await until('service', async () => /red second/.test(await fetchText(`http://${address}:${port}/`)));
    const now = await kubectl(
      'get pods -l app=echo -o jsonpath={.items[0].metadata.name}/{.items[0].status.containerStatuses[0].containerID}',
    );
    assert.equal(now, before);
    assert.equal(
      await kubectl('get pods -l app=echo -o jsonpath={.items[0].status.containerStatuses[0].ready}'),
      'true',
    );
    // Logs go on, and containers that end later are noticed.
    await until('the log', async () => (await kubectl('logs deployment/echo')).includes('request /'));
    // The shell that kills its container's first process may end with it before it can say how it went.
    await run(['exec', 'deploy/echo', '--', 'kill', '1']);
    await until(
      'a restart',
      async () =>
        Number(await kubectl('get pods -l app=echo -o jsonpath={.items[0].status.containerStatuses[0].restartCount}')) >
        0,
    );
  });

  it('adopts pods when everything but them was killed', async () => {
    const layout = clusterLayout(name);
    await kubectl('rollout status deployment/echo --timeout=30s');
    const before = await kubectl(
      'get pods -l app=echo -o jsonpath={.items[0].status.containerStatuses[0].containerID}',
    );
    for (const file of [layout.supervisorPid, layout.clusterPid]) {
      const pid = readProcessFile(file);
      if (pid !== undefined) process.kill(pid, 'SIGKILL');
    }
    await until('the end', async () => clusterStatus(name).state === 'stopped');
    await upCluster({ name, envoy: '/bin/true' });
    await until('service', async () => /red second/.test(await fetchText(`http://${address}:${port}/`)));
    assert.equal(
      await kubectl('get pods -l app=echo -o jsonpath={.items[0].status.containerStatuses[0].containerID}'),
      before,
    );
  });

  it('stops with all pods and comes back as it was', async () => {
    const services = await kubectl('get service echo -o jsonpath={.spec.clusterIP}');
    await downCluster(name);
    assert.equal(clusterStatus(name).state, 'stopped');
    assert.deepEqual(clusterNamespaces(name), []);
    const mounts = fs.readFileSync('/proc/self/mounts', 'utf8');
    assert(!mounts.includes(home));
    await upCluster({ name, envoy: '/bin/true' });
    await until('service', async () => /red second/.test(await fetchText(`http://${address}:${port}/`)));
    assert.equal(await kubectl('get service echo -o jsonpath={.spec.clusterIP}'), services);
    await kubectl('wait --for=condition=Ready pod/shell --timeout=20s');
  });
});
