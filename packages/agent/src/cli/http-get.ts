import { http } from '../builtins.ts';

/** Sends a request without a body, hands the response's chunks on, and gives its status. Rejects when there is no answer in time. */
export function request(
  url: string,
  method: string,
  timeoutMs: number,
  onChunk: (chunk: Buffer) => void,
): Promise<number> {
  return new Promise((resolve, reject) => {
    const outgoing = http.request(
      url,
      { method, agent: false, headers: { connection: 'close', 'content-length': 0 } },
      (response) => {
        response.on('data', onChunk);
        response.on('end', () => resolve(response.statusCode ?? 0));
        response.on('error', reject);
      },
    );
    outgoing.setTimeout(timeoutMs, () => outgoing.destroy(new Error('no answer in time')));
    outgoing.on('error', reject);
    outgoing.end();
  });
}
