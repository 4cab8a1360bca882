import { request } from 'node:http';
import type { Duplex } from 'node:stream';
import type { KubeClient } from '@istio-ts/kube';
import { CliError } from '@istio-ts/command-line/failure';
import type { PodName } from './pods.ts';

const maxAnswerBytes = 512 * 1024 * 1024;

export interface PodRequest {
  readonly method?: 'GET' | 'POST' | 'PUT';
  /** JSON. */
  readonly body?: string;
}

/** One HTTP request to a port of a pod's loopback, through the API server (port-forward). Raises CliError for every answer but a success. */
export async function podHttp(
  client: KubeClient,
  pod: PodName,
  port: number,
  path: string,
  asked: PodRequest['method'] | PodRequest = 'GET',
): Promise<string> {
  const { method = 'GET', body } = typeof asked === 'string' ? { method: asked } : asked;
  const connection = await client.portForward(pod.namespace, pod.name, port);
  try {
    return await exchange(connection, `${pod.name}.${pod.namespace}:${port}`, path, method, body);
  } finally {
    connection.destroy();
  }
}

/** Where nothing listens, kubelets say so in several words about what they tried; the user needs none of them. */
export const unreachableText = (where: string, error: Error): string =>
  /ECONNREFUSED|connection refused/.test(error.message)
    ? `nothing listens at ${where}: what answers there is not in this pod (has it a proxy?) or does not run`
    : `cannot reach ${where}: ${error.message}`;

function exchange(
  connection: Duplex,
  where: string,
  path: string,
  method: string,
  body: string | undefined,
): Promise<string> {
  return new Promise((resolve, reject) => {
    const unreachable = (error: Error) => reject(new CliError(unreachableText(where, error)));
    connection.on('error', unreachable);
    const headers = {
      host: 'localhost',
      connection: 'close',
      ...(body !== undefined && {
        'content-type': 'application/json',
        'content-length': String(Buffer.byteLength(body)),
      }),
    };
    const outgoing = request({ method, path, createConnection: () => connection, headers }, (response) => {
      const chunks: Buffer[] = [];
      let size = 0;
      response.on('data', (chunk: Buffer) => {
        size += chunk.length;
        if (size > maxAnswerBytes) outgoing.destroy(new Error(`the answer has more than ${maxAnswerBytes} bytes`));
        else chunks.push(chunk);
      });
      response.on('end', () => {
        const answer = Buffer.concat(chunks).toString('utf8');
        const status = response.statusCode ?? 0;
        if (status >= 200 && status < 300) resolve(answer);
        else reject(new CliError(`${method} ${path} at ${where} answered ${status}: ${answer.slice(0, 500).trim()}`));
      });
      response.on('error', (error) => reject(new CliError(`${method} ${path} at ${where}: ${error.message}`)));
    });
    outgoing.on('error', unreachable);
    outgoing.end(body);
  });
}
