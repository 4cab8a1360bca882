import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { type AgentReply, askAgent } from './agent-link.ts';
import type { Pod } from './pod.ts';
import { CniError, ERROR } from './protocol.ts';

/** Where pods are looked up. */
export interface PodSource {
  /** Raises {@link CniError} when the pod is not to be had. */
  get(namespace: string, name: string, uid: string | undefined): Promise<Pod>;
}

const REQUEST_LIMIT = 5000;
const BODY_LIMIT = 4 << 20;
/** Milliseconds in which a pod that the node knows has to appear at the API server too, and in which a lost connection is tried again. */
const PATIENCE = 5000;

/**
 * Asks the agent of this node, which keeps a connection to the API server, and the API server itself when the agent does not run (while it is being
 * updated). Both give the pod as it is now, not a copy that may be behind.
 */
export function createPodSource(agentRunDir: string, kubeconfig: string, now: () => number = Date.now): PodSource {
  return {
    async get(namespace, name, uid) {
      const deadline = now() + PATIENCE;
      for (let pause = 100; ; pause = Math.min(pause * 2, 1000)) {
        const reply = (await askAgent(agentRunDir, namespace, name)) ?? (await askApi(kubeconfig, namespace, name));
        // A pod of a StatefulSet keeps its name: the one before it is not the one to ask about.
        if (reply.kind === 'pod' && (uid === undefined || reply.pod.metadata.uid === uid || isMirror(reply.pod)))
          return reply.pod;
        if (now() + pause > deadline) throw failure(reply, `pod ${namespace}/${name}`);
        await sleep(pause);
      }
    },
  };
}

function failure(reply: AgentReply, what: string): CniError {
  switch (reply.kind) {
    case 'pod':
      return new CniError(ERROR.podUnknown, `${what} is another one of the same name by now`);
    case 'missing':
      return new CniError(ERROR.podUnknown, `${what} is unknown to the API server: ${reply.message}`);
    case 'failed':
      return new CniError(ERROR.tryAgainLater, `${what} cannot be looked up: ${reply.message}`);
    default:
      return reply satisfies never;
  }
}

/** The API server's image of a pod that is defined on the node has a uid of its own. */
function isMirror(pod: Pod): boolean {
  return pod.metadata.annotations?.['kubernetes.io/config.mirror'] !== undefined;
}

/** One question to the API server, by the kubeconfig that the installer wrote. Raises {@link CniError} when there is none. */
async function askApi(file: string, namespace: string, name: string): Promise<AgentReply> {
  const { loadKubeConfig } = await import('@istio-ts/kube/kubeconfig');
  let config: ReturnType<typeof loadKubeConfig>;
  try {
    config = loadKubeConfig({ kubeconfig: file, env: {} });
  } catch (error) {
    throw new CniError(
      ERROR.tryAgainLater,
      `${(error as Error).message} The agent istio-cni-node of this node writes that file: look whether its pod runs.`,
    );
  }
  const { credentials, server, tls } = config;
  const token =
    credentials.kind === 'token'
      ? credentials.token
      : credentials.kind === 'tokenFile'
        ? readFileSync(credentials.path, 'utf8').trim()
        : undefined;
  const url = new URL(`${server}/api/v1/namespaces/${encodeURIComponent(namespace)}/pods/${encodeURIComponent(name)}`);
  // Loaded only here: TLS takes as long to load as everything else together, and most calls do without.
  const { request } = process.getBuiltinModule(url.protocol === 'https:' ? 'node:https' : 'node:http');
  return new Promise((resolve) => {
    const failed = (message: string): void =>
      resolve({ kind: 'failed', message: `the API server at ${server} cannot be asked: ${message}` });
    const outgoing = request(
      url,
      {
        ...(tls.ca !== undefined && { ca: tls.ca }),
        ...(tls.cert !== undefined && { cert: tls.cert }),
        ...(tls.key !== undefined && { key: tls.key }),
        ...(tls.serverName !== undefined && { servername: tls.serverName }),
        rejectUnauthorized: !tls.insecureSkipVerify,
        agent: false,
        headers: {
          accept: 'application/json',
          'user-agent': 'istio-cni',
          ...(token !== undefined && { authorization: `Bearer ${token}` }),
        },
        signal: AbortSignal.timeout(REQUEST_LIMIT),
      },
      (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => {
          text += chunk;
          if (text.length > BODY_LIMIT) outgoing.destroy(new Error('the answer is too long'));
        });
        response.on('error', (error) => failed(error.message));
        response.on('end', () => {
          let body: { readonly message?: string };
          try {
            body = JSON.parse(text);
          } catch {
            failed(`status ${response.statusCode}, and the answer is not JSON`);
            return;
          }
          const message = body.message ?? '';
          if (response.statusCode === 200) resolve({ kind: 'pod', pod: body as Pod });
          else if (response.statusCode === 404) resolve({ kind: 'missing', message });
          else if (response.statusCode === 401 || response.statusCode === 403)
            // The token ends with the agent's pod; the next agent of this node writes its own.
            failed(
              `status ${response.statusCode}: ${message}. The agent istio-cni-node of this node writes the plugin's token: look whether its pod runs. If the mesh's CNI plugin has been removed, take "istio-cni" out of the CNI configuration of this node`,
            );
          else failed(`status ${response.statusCode}: ${message}`);
        });
      },
    );
    outgoing.on('error', (error) => failed(error.message));
    outgoing.end();
  });
}
