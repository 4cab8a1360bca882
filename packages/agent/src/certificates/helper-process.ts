import { spawn } from 'node:child_process';
import { realpathSync } from 'node:fs';
import { dirname, extname, join } from 'node:path';
import type { HelperRequest, HelperResponse } from './obtain.ts';

/**
 * A helper that answers slower than this is ended. Its waits for others have limits of their own; this is for a helper that hangs. Where many pods start at
 * once on few cores it takes a minute to do what takes a tenth of a second otherwise, and to end it then would only make more work for all of them.
 */
const TIMEOUT_MS = 180_000;
const MAX_ANSWER = 8 << 20;

/** Path of the helper program, which lies beside the agent's. */
export function helperProgram(agentProgram: string): string {
  const path = realpathSync(agentProgram);
  return join(dirname(path), `pilot-agent-certificate${extname(path)}`);
}

/**
 * Has a request served by the helper process. Keys, TLS and certificates need OpenSSL and HTTP/2, 12 MB that a sidecar uses for a
 * few milliseconds a day; in a process of their own they go back at once. Never rejects.
 */
export function askHelper(program: string, request: HelperRequest): Promise<HelperResponse> {
  return new Promise((resolve) => {
    const fail = (message: string): void => resolve({ kind: 'failed', message, retryable: true });
    const child = spawn(process.execPath, [program], { stdio: ['pipe', 'pipe', 'pipe'] });
    const timer = setTimeout(() => {
      fail(`the certificate helper ${program} gave no answer within ${TIMEOUT_MS / 1000} s`);
      child.kill('SIGKILL');
    }, TIMEOUT_MS);
    const answer: Buffer[] = [];
    let complaint = '';
    let size = 0;
    child.stdout.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size <= MAX_ANSWER) answer.push(chunk);
    });
    child.stderr.on('data', (chunk: Buffer) => {
      complaint = `${complaint}${chunk.toString()}`.slice(-1000);
    });
    child.on('error', (error) => fail(`the certificate helper ${program} cannot be started: ${error.message}`));
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      try {
        resolve(JSON.parse(Buffer.concat(answer).toString('utf8')) as HelperResponse);
      } catch {
        fail(`the certificate helper ${program} ended with ${signal ?? code}: ${complaint.trim()}`);
      }
    });
    child.stdin.on('error', () => undefined);
    child.stdin.end(JSON.stringify(request));
  });
}
