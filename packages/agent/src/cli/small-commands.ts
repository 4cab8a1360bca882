import { request } from './http-get.ts';
import { UsageError } from './arguments.ts';
import type { FlagSpec, ParsedArguments } from './arguments.ts';

/** Flags of the short-lived commands of pilot-agent. */
export const REQUEST_FLAGS: readonly FlagSpec[] = [
  { name: 'debug-port', kind: 'integer', default: '15000', help: "Port of Envoy's admin interface" },
];
export const WAIT_FLAGS: readonly FlagSpec[] = [
  { name: 'periodMillis', kind: 'integer', default: '500', help: 'Time between attempts' },
  { name: 'requestTimeoutMillis', kind: 'integer', default: '500', help: 'Time an attempt may take' },
  { name: 'timeoutSeconds', kind: 'integer', default: '60', help: 'Time until giving up' },
  { name: 'url', kind: 'text', default: 'http://localhost:15021/healthz/ready', help: 'Where to ask' },
];
export const VERSION_FLAGS: readonly FlagSpec[] = [
  { name: 'output', short: 'o', kind: 'text', help: 'yaml or json' },
  { name: 'short', short: 's', kind: 'boolean', help: 'Only the version' },
];

/** `pilot-agent request METHOD PATH`: sends it to Envoy's admin interface and prints the answer. Exit code 1 for another status than 200. */
export async function runRequest(args: ParsedArguments): Promise<number> {
  const [method = '', path = '', ...rest] = args.positionals;
  if (method === '' || path === '' || rest.length > 0)
    throw new UsageError('usage: pilot-agent request METHOD PATH, for example: request GET clusters');
  const answer = await request(
    `http://127.0.0.1:${args.integer('debug-port')}/${path.replace(/^\//, '')}`,
    method.toUpperCase(),
    30_000,
    (chunk) => process.stdout.write(chunk),
  );
  if (answer === 200) return 0;
  process.stderr.write(`Error: received unsuccessful status code ${answer}\n`);
  return 1;
}

/** `pilot-agent wait`: returns when the proxy is ready; the hook that holds the application until then. */
export async function runWait(args: ParsedArguments): Promise<number> {
  const url = args.text('url');
  const deadline = Date.now() + args.integer('timeoutSeconds') * 1000;
  process.stdout.write(`Waiting for Envoy proxy to be ready (timeout: ${args.integer('timeoutSeconds')} seconds)...\n`);
  let last = '';
  while (Date.now() < deadline) {
    try {
      const status = await request(url, 'GET', args.integer('requestTimeoutMillis'), () => undefined);
      if (status === 200) {
        process.stdout.write('Envoy is ready!\n');
        return 0;
      }
      last = `status ${status}`;
    } catch (error) {
      last = error instanceof Error ? error.message : String(error);
    }
    await new Promise((resolve) => setTimeout(resolve, args.integer('periodMillis')));
  }
  process.stderr.write(`Error: timeout waiting for Envoy proxy to become ready. Last error: ${last}\n`);
  return 1;
}
