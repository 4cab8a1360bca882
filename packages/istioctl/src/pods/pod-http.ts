import { request } from 'node:http';
import type { Duplex } from 'node:stream';
import type { KubeClient } from '@istio-ts/kube';
import { CliError } from '../cli/failure.ts';
import type { PodName } from './find-pod.ts';

const maxAnswerBytes = 512 * 1024 * 1024;

/** One HTTP request to a port of a pod's loopback, through the API server (port-forward). Raises CliError for every answer but 200. */
export async function podHttp(
  client: KubeClient,
  pod: PodName,
  port: number,
  path: string,
  method: 'GET' | 'POST' = 'GET',
): Promise<string> {
  const connection = await client.portForward(pod.namespace, pod.name, port);
  try {
    return await exchange(connection, `${pod.name}.${pod.namespace}:${port}`, path, method);
  } finally {
    connection.destroy();
  }
}

function exchange(connection: Duplex, where: string, path: string, method: string): Promise<string> {
  return new Promise((resolve, reject) => {
    connection.on('error', (error) => reject(new CliError(`cannot reach port ${where}: ${error.message}`)));
    const outgoing = request(
      { method, path, createConnection: () => connection, headers: { host: 'localhost', connection: 'close' } },
      (response) => {
        const chunks: Buffer[] = [];
        let size = 0;
        response.on('data', (chunk: Buffer) => {
          size += chunk.length;
          if (size > maxAnswerBytes) outgoing.destroy(new Error(`the answer has more than ${maxAnswerBytes} bytes`));
          else chunks.push(chunk);
        });
        response.on('end', () => {
          const body = Buffer.concat(chunks).toString('utf8');
          if (response.statusCode === 200) resolve(body);
          else
            reject(
              new CliError(`${method} ${path} at ${where} answered ${response.statusCode}: ${body.slice(0, 500)}`),
            );
        });
        response.on('error', (error) => reject(new CliError(`${method} ${path} at ${where}: ${error.message}`)));
      },
    );
    outgoing.on('error', (error) => reject(new CliError(`cannot reach port ${where}: ${error.message}`)));
    outgoing.end();
  });
}
