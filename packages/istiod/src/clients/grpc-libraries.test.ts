import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, describe, it } from 'node:test';
import type { KubeObject } from '@istio-ts/kube/object';
import { istioObject, podObject, serviceObject, sliceObject } from '@istio-ts/xds/testing/objects';
import { eventually } from '@istio-ts/envoy/testing/eventually';
import { OWN_AGENT, type RunningAgent, startAgent } from './agent.test-support.ts';
import { type ControlPlane, startControlPlane } from './control-plane.test-support.ts';

/**
 * gRPC's C core by its Python library, as client and as servers, each in a pod with our agent as the template `grpc-agent` runs it: without Envoy, its
 * bootstrap file and certificates on disk, its socket the only way to the control plane.
 */

const PYTHON = process.env.ISTIO_TS_GRPC_PYTHON || 'python3';
/** Where CI puts the library, beside those of Python itself. */
const INSTALLED = join(process.env.ISTIO_TS_HOME || join(homedir(), '.istio-ts'), 'python');
const environment = {
  ...process.env,
  PYTHONPATH: [process.env.PYTHONPATH, INSTALLED].filter(Boolean).join(delimiter),
};
const probe = spawnSync(PYTHON, ['-c', 'import grpc; grpc.xds_channel_credentials; print(grpc.__version__)'], {
  env: environment,
  encoding: 'utf8',
});
const version = probe.status === 0 ? probe.stdout.trim() : undefined;
const skip = version === undefined && `${PYTHON} has no grpcio (docs/clients.md says how to install it)`;
/** The C core of 1.85.1 ends its own process when a server whose configuration is from xDS fails a call; that of 1.76.0 does not. */
const endsItself =
  Number(version?.split('.')[1] ?? 0) >= 85 && `grpcio ${version}: its servers end when they fail a call`;

/** Programs of gRPC libraries: that of Python, and one of any other library that takes the same words (docs/clients.md). */
const OTHER = process.env.ISTIO_TS_GRPC_PROGRAM;
const libraries = [
  {
    name: "gRPC's C core (Python)",
    command: [PYTHON, join(import.meta.dirname, 'echo.py')],
    skip,
    noRetries: endsItself,
  },
  { name: OTHER ?? '', command: [OTHER ?? ''], skip: false, noRetries: false },
].filter(({ name }) => name !== '');

const byte = 16 + Math.floor(Math.random() * 200);
const ip = (last: number): string => `127.78.${byte}.${last}`;
const PORT = 20_000 + Math.floor(Math.random() * 10_000);
const VERSIONS = ['v1', 'v2'];

const weights = (v1: number, v2: number): KubeObject =>
  istioObject(
    'VirtualService',
    { name: 'echo' },
    {
      hosts: ['echo'],
      http: [
        { match: [{ headers: { user: { exact: 'tester' } } }], route: [to('v2')] },
        {
          match: [{ headers: { user: { prefix: 'unlucky' } } }],
          fault: { abort: { percentage: { value: 100 }, grpcStatus: 'DATA_LOSS' } },
          route: [to('v1')],
        },
        {
          match: [{ headers: { user: { regex: 'wait.*' } } }],
          fault: { delay: { percentage: { value: 100 }, fixedDelay: '1s' } },
          route: [to('v1')],
        },
        { match: [{ uri: { exact: '/echo.Echo/Slow' } }], timeout: '3s', route: [to('v1')] },
        {
          match: [{ uri: { prefix: '/echo.Echo/Flaky' } }],
          retries: { attempts: 3, retryOn: 'unavailable' },
          route: [to('v1')],
        },
        { route: [to('v1', v1), to('v2', v2)] },
      ],
    },
  );
const to = (subset: string, weight?: number) => ({
  destination: { host: 'echo', subset },
  ...(weight !== undefined && { weight }),
});

const objects: readonly KubeObject[] = [
  serviceObject({ name: 'echo' }, [{ name: 'grpc', port: 80, targetPort: PORT }], { selector: { app: 'echo' } }),
  ...VERSIONS.map((version, i) =>
    podObject({ name: `echo-${version}`, labels: { app: 'echo', version }, ip: ip(i + 1), account: 'echo' }),
  ),
  sliceObject(
    'echo',
    [{ name: 'grpc', port: PORT, protocol: 'TCP' }],
    VERSIONS.map((version, i) => ({ ip: ip(i + 1), pod: `echo-${version}` })),
  ),
  podObject({ name: 'caller', labels: { app: 'caller' }, ip: ip(9), account: 'caller' }),
  istioObject(
    'DestinationRule',
    { name: 'echo' },
    {
      host: 'echo',
      trafficPolicy: { tls: { mode: 'ISTIO_MUTUAL' } },
      subsets: VERSIONS.map((version) => ({ name: version, labels: { version } })),
    },
  ),
  weights(100, 0),
  istioObject('PeerAuthentication', { name: 'strict' }, { mtls: { mode: 'STRICT' } }),
  istioObject(
    'AuthorizationPolicy',
    { name: 'echo' },
    {
      selector: { matchLabels: { app: 'echo' } },
      action: 'DENY',
      rules: [
        {
          from: [{ source: { principals: ['cluster.local/ns/default/sa/caller'] } }],
          to: [{ operation: { paths: ['/echo.Echo/Forbidden'] } }],
        },
      ],
    },
  ),
];

interface Call {
  readonly target?: string;
  readonly method?: string;
  readonly text?: string;
  readonly metadata?: Readonly<Record<string, string>>;
  readonly timeout?: number;
  readonly secure?: boolean;
  readonly wait?: boolean;
}

interface Result {
  readonly ok: boolean;
  readonly from?: string;
  readonly peer?: readonly string[];
  readonly attempt?: number;
  readonly code?: string;
  readonly details?: string;
}

for (const { name, command, skip, noRetries } of libraries)
  describe(`${name} with the agent's bootstrap`, { skip }, () => {
    const agents: RunningAgent[] = [];
    const programs: ChildProcess[] = [];
    let controlPlane: ControlPlane;
    let client: ChildProcess;
    let answers: AsyncIterator<string>;
    const logs: string[] = [];

    const agentFor = async (pod: string, account: string, address: string, labels: Record<string, string>) => {
      const agent = await startAgent({
        command: OWN_AGENT,
        controlPlane,
        pod: { name: pod, namespace: 'default', account, ip: address, labels },
        env: {
          DISABLE_ENVOY: 'true',
          OUTPUT_CERTS: 'certificates',
          GRPC_XDS_BOOTSTRAP: 'etc/istio/proxy/grpc-bootstrap.json',
        },
      });
      agents.push(agent);
      return agent;
    };
    const program = (agent: RunningAgent, ...args: string[]): ChildProcess => {
      const running = spawn(command[0] ?? '', [...command.slice(1), ...args], {
        cwd: agent.directory,
        stdio: ['pipe', 'pipe', 'pipe'],
        env: {
          ...environment,
          GRPC_XDS_BOOTSTRAP: join(agent.directory, 'etc/istio/proxy/grpc-bootstrap.json'),
          ...(process.env.DEBUG && { GRPC_TRACE: 'xds_client', GRPC_VERBOSITY: 'debug' }),
        },
      });
      running.stderr?.on('data', (chunk: Buffer) => logs.push(chunk.toString()));
      programs.push(running);
      return running;
    };
    const told = (): string =>
      [...(controlPlane?.complaints ?? []), ...logs, ...agents.map((agent) => agent.output())].join('\n');
    const lines = (program: ChildProcess): AsyncIterator<string> => {
      assert.ok(program.stdout);
      return createInterface({ input: program.stdout })[Symbol.asyncIterator]();
    };
    const call = async (order: Call = {}): Promise<Result> => {
      client.stdin?.write(`${JSON.stringify({ target: 'xds:///echo.default.svc.cluster.local:80', ...order })}\n`);
      const { value, done } = await answers.next();
      if (done) throw new Error(`the client has ended\n${told()}`);
      return JSON.parse(value) as Result;
    };
    const good = async (order: Call = {}): Promise<Result> => {
      const result = await call(order);
      assert.ok(result.ok, `${JSON.stringify(result)}\n${told()}`);
      return result;
    };

    before(async () => {
      controlPlane = await startControlPlane(objects);
      const started = await Promise.all([
        ...VERSIONS.map((version, i) => agentFor(`echo-${version}`, 'echo', ip(i + 1), { app: 'echo', version })),
        agentFor('caller', 'caller', ip(9), { app: 'caller' }),
      ]);
      for (const agent of started)
        await eventually(
          'files for gRPC',
          () =>
            [
              'etc/istio/proxy/grpc-bootstrap.json',
              'certificates/cert-chain.pem',
              'certificates/key.pem',
              'certificates/root-cert.pem',
            ].filter((file) => !existsSync(join(agent.directory, file))),
          (missing) => missing.length === 0,
          told,
        );
      const [one, two, own] = started;
      assert.ok(one && two && own);
      for (const [i, agent] of [one, two].entries()) {
        const server = lines(program(agent, 'serve', `${ip(i + 1)}:${PORT}`, VERSIONS[i] ?? ''));
        assert.equal((await server.next()).value, 'ready', told());
      }
      client = program(own, 'call');
      answers = lines(client);
    });
    after(async () => {
      for (const program of programs) program.kill();
      await Promise.all(agents.map((agent) => agent.stop()));
      await controlPlane?.close();
    });

    it('calls with mutual TLS: the server knows the caller by its SPIFFE identity', async () => {
      const { from, peer } = await good();
      assert.equal(from, 'v1');
      assert.deepEqual(peer, ['spiffe://cluster.local/ns/default/sa/caller']);
      assert.deepEqual([...new Set(controlPlane.issued)].sort(), ['default/caller', 'default/echo']);
    });

    it('is a client of the control plane that has taken everything', async () => {
      const caller = await eventually(
        'all types are in sync',
        () => controlPlane.connections().filter(({ node }) => node.podName === 'caller'),
        (found) => found.length === 1 && found[0]?.statuses().every(({ state }) => state === 'SYNCED') === true,
        told,
      );
      assert.equal(caller[0]?.node.identity, 'spiffe://cluster.local/ns/default/sa/caller');
      assert.deepEqual(controlPlane.complaints, []);
    });

    it('refuses plain text where mutual TLS is strict', async () => {
      const { ok } = await call({ target: `${ip(1)}:${PORT}`, secure: false, timeout: 2, wait: false });
      assert.equal(ok, false);
    });

    it('follows matches of headers and a shift of weights', async () => {
      assert.equal((await good({ metadata: { user: 'tester' } })).from, 'v2');
      controlPlane.set(weights(50, 50));
      const seen = new Set<string | undefined>();
      await eventually(
        'both versions answer',
        async () => seen.add((await good()).from),
        ({ size }) => size === 2,
        told,
      );
      controlPlane.set(weights(0, 100));
      let inARow = 0;
      await eventually(
        'only v2 answers',
        async () => (inARow = (await good()).from === 'v2' ? inARow + 1 : 0),
        (count) => count >= 10,
        told,
      );
      controlPlane.set(weights(100, 0));
    });

    it('has faults injected by the client library', async () => {
      const { code } = await call({ metadata: { user: 'unlucky' } });
      assert.equal(code, 'DATA_LOSS');
      const delayed = await call({ metadata: { user: 'waiting' }, timeout: 0.5 });
      assert.equal(delayed.code, 'DEADLINE_EXCEEDED');
      assert.equal((await good({ metadata: { user: 'waiting' } })).from, 'v1');
    });

    it('ends calls at the timeout of their route', async () => {
      // The server never answers, and the caller would wait a minute.
      const started = Date.now();
      const { code } = await call({ method: 'Slow', timeout: 60 });
      assert.equal(code, 'DEADLINE_EXCEEDED');
      assert.ok(Date.now() - started < 60_000);
    });

    it('tries again as the route says', { skip: noRetries }, async () => {
      assert.equal((await good({ method: 'Flaky', text: 'once more' })).attempt, 2);
    });

    it('is refused by an authorization policy in the server library', async () => {
      const { code } = await call({ method: 'Forbidden' });
      assert.equal(code, 'PERMISSION_DENIED');
    });

    it('finds endpoints that come and go', async () => {
      const only = (i: number): KubeObject =>
        sliceObject('echo', [{ name: 'grpc', port: PORT, protocol: 'TCP' }], [{ ip: ip(i), pod: `echo-v${i}` }]);
      controlPlane.set(only(2));
      await eventually(
        'v1 is gone',
        () => call({ timeout: 1, wait: false }),
        ({ ok }) => !ok,
        told,
      );
      controlPlane.set(only(1));
      await eventually(
        'v1 is back',
        () => call({ timeout: 2 }),
        ({ ok, from }) => ok && from === 'v1',
        told,
      );
    });
  });
