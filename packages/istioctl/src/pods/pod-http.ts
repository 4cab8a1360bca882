import { request } from 'node:http';
import type { Duplex } from 'node:stream';
import type { KubeClient } from '@istio-ts/kube';
import { CliError } from '../cli/failure.ts';
import type { PodName } from './find-pod.ts';

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

function exchange(
  connection: Duplex,
  where: string,
  path: string,
  method: string,
  body: string | undefined,
): Promise<string> {
  return new Promise((resolve, reject) => {
    connection.on('error', (error) => reject(new CliError(`cannot reach port ${where}: ${error.message}`)));
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
    outgoing.on('error', (error) => reject(new CliError(`cannot reach port ${where}: ${error.message}`)));
    outgoing.end(body);
  });
}
