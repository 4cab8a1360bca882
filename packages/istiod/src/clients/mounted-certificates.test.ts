import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { Agent, createServer, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { findEnvoy, withoutEnvoy } from '@istio-ts/envoy/testing/binary';
import { TestAuthority } from '@istio-ts/xds/testing/authority';
import { istioObject } from '@istio-ts/xds/testing/objects';
import { eventually } from '@istio-ts/envoy/testing/eventually';
import { freePort, OWN_AGENT, type RunningAgent, startAgent } from './agent.test-support.ts';
import { serverAndClient } from './bound-sidecars.test-support.ts';
import { type ControlPlane, startControlPlane } from './control-plane.test-support.ts';
import { type Cleanups, listening } from './listening.test-support.ts';

/**
 * Certificates that containers mount and name (`ISTIO_META_TLS_CLIENT_*`, `ISTIO_META_TLS_SERVER_*`): of an authority that istiod knows nothing of, and
 * replaced on disk as Kubernetes replaces a mounted Secret, while requests go on.
 */

const byte = 16 + Math.floor(Math.random() * 200);
const ip = (last: number): string => `127.83.${byte}.${last}`;
const folder = mkdtempSync(join(tmpdir(), 'mounted-'));
const authority = new TestAuthority(folder, 'elsewhere');

/** A folder as the kubelet mounts it: files are links into a folder that is replaced as a whole. */
class Mount {
  readonly path: string;
  readonly #account: string;
  #generation = 0;

  constructor(account: string) {
    this.#account = account;
    this.path = join(folder, `mount-${account}`);
    mkdirSync(this.path);
    this.renew();
    for (const name of ['cert-chain.pem', 'key.pem', 'root-cert.pem'])
      symlinkSync(join('..data', name), join(this.path, name));
  }

  /** New certificate and key; gives its common name. */
  renew(): string {
    const name = `${this.#account}-${++this.#generation}`;
    const issued = authority.issue(name, [`URI:spiffe://cluster.local/ns/default/sa/${this.#account}`]);
    const data = `..${this.#generation}`;
    mkdirSync(join(this.path, data));
    writeFileSync(join(this.path, data, 'cert-chain.pem'), issued.certificate);
    writeFileSync(join(this.path, data, 'key.pem'), issued.key);
    writeFileSync(join(this.path, data, 'root-cert.pem'), authority.root);
    symlinkSync(data, join(this.path, '..data_tmp'));
    renameSync(join(this.path, '..data_tmp'), join(this.path, '..data'));
    return name;
  }

  /** What an annotation or `proxyMetadata` gives the proxy. */
  metadata(side: 'CLIENT' | 'SERVER'): Readonly<Record<string, string>> {
    return {
      [`ISTIO_META_TLS_${side}_CERT_CHAIN`]: join(this.path, 'cert-chain.pem'),
      [`ISTIO_META_TLS_${side}_KEY`]: join(this.path, 'key.pem'),
      [`ISTIO_META_TLS_${side}_ROOT_CERT`]: join(this.path, 'root-cert.pem'),
    };
  }
}

describe('certificates that containers mount', { skip: withoutEnvoy }, () => {
  const cleanups: Cleanups = [];
  const mounts = { client: new Mount('client'), server: new Mount('server') };
  let controlPlane: ControlPlane;
  let agents: Readonly<Record<'client' | 'server', RunningAgent>>;
  let port = 0;
  const told = (): string =>
    [...controlPlane.complaints, agents?.client.output() ?? '', agents?.server.output() ?? ''].join('\n');

  interface Reply {
    readonly status: number;
    /** Subject of the client's certificate, as the server's proxy tells its application. */
    readonly subject: string;
    /** The client's end of the connection. */
    readonly from: number | undefined;
  }
  const ask = (agent: Agent | false = false): Promise<Reply> =>
    new Promise((resolve, reject) => {
      const sent = request(
        { host: '127.0.0.1', port, path: '/', headers: { host: `server:${port}` }, agent },
        (response) => {
          let text = '';
          const from = response.socket.localPort;
          response.on('data', (chunk: Buffer) => (text += chunk.toString()));
          response.on('error', reject);
          response.on('end', () =>
            resolve({ status: response.statusCode ?? 0, subject: /CN=([\w-]+)/.exec(text)?.[1] ?? text, from }),
          );
        },
      );
      sent.on('error', reject);
      sent.end();
    });
  /** Ids of the certificates that an Envoy has, as text. */
  const certificates = async (agent: RunningAgent): Promise<string> => {
    const response = await fetch(`http://127.0.0.1:${agent.ports.admin}/certs`);
    return response.text();
  };

  before(async () => {
    const app = createServer((incoming, response) => {
      response.end(String(incoming.headers['x-forwarded-client-cert'] ?? 'plain text'));
    });
    const target = await listening(app, cleanups);
    port = await freePort();
    const inbound = await freePort();
    controlPlane = await startControlPlane(
      [
        ...serverAndClient({ server: ip(1), client: ip(2), port, inbound, app: target }),
        // Connections between the proxies do not last, so that what they show each other is seen to change.
        istioObject(
          'DestinationRule',
          { name: 'server' },
          { host: 'server', trafficPolicy: { connectionPool: { http: { maxRequestsPerConnection: 3 } } } },
        ),
      ],
      {
        proxyListenPort: await freePort(),
        proxyInboundListenPort: await freePort(),
        accessLogFile: '/dev/null',
        // What the application is to hear of its clients.
        defaultConfig: {
          proxyHeaders: { forwardedClientCert: 'SANITIZE_SET', setCurrentClientCertDetails: { subject: true } },
        } as never,
      },
    );
    cleanups.push(() => controlPlane.close());
    const start = async (name: 'client' | 'server', last: number): Promise<RunningAgent> => {
      const agent = await startAgent({
        command: OWN_AGENT,
        controlPlane,
        pod: { name: `${name}-1`, namespace: 'default', account: name, ip: ip(last), labels: { app: name } },
        env: { ENVOY_BINARY: findEnvoy() ?? '', ...mounts[name].metadata(name === 'client' ? 'CLIENT' : 'SERVER') },
      });
      cleanups.push(() => agent.stop());
      return agent;
    };
    agents = { server: await start('server', 1), client: await start('client', 2) };
  });
  after(async () => {
    for (const cleanup of cleanups.reverse()) await cleanup();
    rmSync(folder, { recursive: true });
  });

  it('are what both sides show each other', async () => {
    const { subject } = await eventually(
      'an answer',
      () => ask(),
      ({ status }) => status === 200,
      told,
    );
    assert.equal(subject, 'client-1');
    assert.match(await certificates(agents.server), /spiffe:\/\/cluster\.local\/ns\/default\/sa\/server/);
    assert.deepEqual(controlPlane.complaints, []);
  });

  it('are replaced on disk without a failed request or a lost connection', async () => {
    const kept = new Agent({ keepAlive: true, maxSockets: 1 });
    const replies: Reply[] = [];
    let isOver = false;
    const ends = new Set<number | undefined>();
    const constantly = (agent: Agent | false) =>
      (async () => {
        while (!isOver) {
          const reply = await ask(agent);
          replies.push(reply);
          if (agent) ends.add(reply.from);
        }
      })();
    const asking = Promise.all([constantly(kept), constantly(false)]);
    try {
      for (let round = 0; round < 2; round++) {
        mounts.server.renew();
        const name = mounts.client.renew();
        await eventually(
          `a request with ${name}`,
          async () => replies.at(-1)?.subject,
          (subject) => subject === name,
          told,
        );
      }
    } finally {
      isOver = true;
      await asking;
      kept.destroy();
    }
    assert.deepEqual([...new Set(replies.map(({ status }) => status))], [200]);
    assert.equal(ends.size, 1);
    assert.ok(replies.some(({ subject }) => subject === 'client-2'));
    assert.deepEqual(controlPlane.complaints, []);
  });
});
