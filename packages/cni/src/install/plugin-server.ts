import * as fs from 'node:fs/promises';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import type { Logger } from '@istio-ts/agent/log';
import { isNotFound } from '@istio-ts/kube/client';
import { AGENT_SOCKET, type AgentMessage, type AgentReply, type RulesReply } from '../plugin/agent-link.ts';
import type { RuleWriter } from '../plugin/plugin.ts';
import type { Pod } from '../plugin/pod.ts';

const LINE_LIMIT = 1 << 20;

export interface PluginServerParts {
  /** The pod as the API server has it now; rejects with KubeApiError or an Error. */
  readonly getPod: (namespace: string, name: string) => Promise<Pod>;
  /** Writes rules for plugins on nodes without the programs to do it; paths are those of this process. */
  readonly rules: RuleWriter;
  /** Path by which this process reaches a network namespace that the node knows by `netns`. Raises an Error when there is none. */
  readonly reach: (netns: string) => string;
  readonly log: Logger;
  /** Hears the outcome of each network that was made: 0, or the code of the error. */
  readonly onResult: (code: number) => void;
}

/**
 * Listens for the plugin: its questions for pods, and its log. The socket is for root only. It stays when this process ends, for a newer agent may
 * listen there by then.
 */
export async function servePlugin(directory: string, parts: PluginServerParts): Promise<void> {
  const path = join(directory, AGENT_SOCKET);
  await fs.mkdir(directory, { recursive: true });
  await fs.rm(path, { force: true });
  const server = createServer({ allowHalfOpen: true }, (socket) => serve(socket, parts));
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject);
  // The socket is bound within the call: at no moment it is open to others than root.
  const umask = process.umask(0o177);
  server.listen(path, resolve);
  process.umask(umask);
  await promise;
  // The process ends when its other work does.
  server.unref();
}

function serve(socket: Socket, parts: PluginServerParts): void {
  let text = '';
  socket.setEncoding('utf8');
  socket.setTimeout(60_000, () => socket.destroy());
  socket.on('error', () => socket.destroy());
  socket.on('data', (chunk: string) => {
    text += chunk;
    if (text.length > LINE_LIMIT) socket.destroy();
  });
  socket.on('end', () => {
    answer(text, parts).then(
      (reply) => socket.end(reply === undefined ? '' : JSON.stringify(reply)),
      () => socket.destroy(),
    );
  });
}

async function answer(
  text: string,
  { getPod, rules, reach, log, onResult }: PluginServerParts,
): Promise<AgentReply | RulesReply | undefined> {
  const message: AgentMessage = JSON.parse(text);
  switch (message.kind) {
    case 'pod':
      try {
        return { kind: 'pod', pod: essence(await getPod(message.namespace, message.name)) };
      } catch (error) {
        const missing = isNotFound(error);
        return { kind: missing ? 'missing' : 'failed', message: (error as Error).message };
      }
    case 'applyRules':
      try {
        await rules.apply(reach(message.netns), message.settings, message.families);
        return { kind: 'rules', saved: '' };
      } catch (error) {
        return { kind: 'failed', message: (error as Error).message };
      }
    case 'readRules':
      try {
        return { kind: 'rules', saved: await rules.read(reach(message.netns), message.family) };
      } catch (error) {
        return { kind: 'failed', message: (error as Error).message };
      }
    case 'records':
      for (const { level, message: line, fields, result } of message.records) {
        if (['error', 'warn', 'info', 'debug'].includes(level)) log[level](`plugin: ${line}`, fields);
        if (result !== undefined) onResult(result);
      }
      return undefined;
    default:
      return message satisfies never;
  }
}

/** What the plugin reads of a pod; values of environment variables stay here except those that it looks at. */
function essence({ apiVersion, kind, metadata, spec }: Pod): Pod {
  const containers = (list: NonNullable<Pod['spec']>['containers']) =>
    list?.map(({ name, args, env, securityContext }) =>
      name.startsWith('istio-') ? { name, args, env, securityContext } : { name },
    );
  const { name, namespace, uid, labels, annotations } = metadata;
  return {
    apiVersion,
    kind,
    metadata: { name, namespace, uid, labels, annotations },
    spec: {
      hostNetwork: spec?.hostNetwork,
      containers: containers(spec?.containers),
      initContainers: containers(spec?.initContainers),
    },
  } as Pod;
}
