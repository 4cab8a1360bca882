import { request } from 'node:http';
import { FlagError, headers, last, milliseconds, number, on, readFlags } from '../fortio/flags.ts';
import { type Load, report, runLoad } from '../fortio/load.ts';
import { echoServer } from '../fortio/server.ts';

/** The commands of fortio, the load tester, that the tasks use: `load`, `curl` (one request, its answer printed) and `server`. */
const usage =
  'fortio load [-c N] [-qps N] [-n N | -t DURATION] [-H "name: value"] URL\nfortio curl [-H "name: value"] URL\nfortio server [-http-port PORT]';

const clientFlags = {
  c: 'value',
  qps: 'value',
  n: 'value',
  t: 'value',
  H: 'value',
  payload: 'value',
  timeout: 'value',
  keepalive: 'value',
  loglevel: 'value',
  quiet: 'switch',
  curl: 'switch',
  'allow-initial-errors': 'switch',
} as const;

const withScheme = (url: string) => (/^https?:\/\//.test(url) ? url : `http://${url}`);

function loadOf(words: readonly string[]): { readonly load: Load; readonly quiet: boolean; readonly once: boolean } {
  const flags = readFlags(words, clientFlags);
  const [url, ...more] = flags.rest;
  if (url === undefined || more.length > 0) throw new FlagError(`one URL is needed, after the flags\n${usage}`);
  const connections = Math.max(1, Math.floor(number(flags, 'c', 4)));
  const calls = number(flags, 'n', 0);
  const body = last(flags, 'payload');
  return {
    once: on(flags, 'curl'),
    quiet: on(flags, 'quiet') || /^(warn|err|crit)/i.test(last(flags, 'loglevel') ?? ''),
    load: {
      url: withScheme(url),
      headers: headers(flags),
      connections,
      qps: number(flags, 'qps', 8),
      calls: calls > 0 ? calls : undefined,
      durationMs: milliseconds(flags, 't', 5000),
      timeoutMs: milliseconds(flags, 'timeout', 15_000),
      keepAlive: last(flags, 'keepalive') !== 'false',
      ...(body !== undefined && { body }),
    },
  };
}

function curl({ url, headers: sent, timeoutMs, body }: Load, quiet: boolean): void {
  if (!quiet) console.error(`fortio: GET ${url}`);
  const outgoing = request(
    url,
    {
      method: body === undefined ? 'GET' : 'POST',
      headers: { 'user-agent': 'fortio', ...sent },
      signal: AbortSignal.timeout(timeoutMs),
    },
    (response) => {
      const lines = [`HTTP/${response.httpVersion} ${response.statusCode} ${response.statusMessage}`];
      for (let index = 0; index < response.rawHeaders.length; index += 2)
        lines.push(`${response.rawHeaders[index]}: ${response.rawHeaders[index + 1]}`);
      process.stdout.write(`${lines.join('\r\n')}\r\n\r\n`);
      response.pipe(process.stdout, { end: false });
      response.on('end', () => {
        process.exitCode = (response.statusCode ?? 0) < 400 ? 0 : 1;
      });
    },
  );
  outgoing.on('error', (error) => {
    console.error(`fortio: ${url}: ${error.message}`);
    process.exitCode = 1;
  });
  outgoing.end(body);
}

async function main([command, ...words]: readonly string[]): Promise<void> {
  switch (command) {
    case 'curl': {
      const { load, quiet } = loadOf(words);
      return curl(load, quiet);
    }
    case 'load': {
      const { load, quiet, once } = loadOf(words);
      if (once) return curl(load, quiet);
      const amount = load.calls === undefined ? `${load.durationMs / 1000}s` : `${load.calls} calls`;
      if (!quiet) {
        console.log(
          `Fortio runs at ${load.qps > 0 ? `${load.qps} queries per second` : 'full speed'}, ${load.connections} connections, for ${amount}: ${load.url}`,
        );
      }
      console.log(report(await runLoad(load, () => performance.now()), load));
      return;
    }
    case 'server': {
      const flags = readFlags(words, { 'http-port': 'value', loglevel: 'value', quiet: 'switch' });
      const port = Number((last(flags, 'http-port') ?? '8080').replace(/^.*:/, ''));
      const server = echoServer();
      server.listen(port, () => console.log(`fortio echoes on port ${port}`));
      process.once('SIGTERM', () => {
        server.close(() => process.exit(0));
        server.closeIdleConnections();
      });
      return;
    }
    case 'help':
    case '-h':
    case '--help':
      return console.log(usage);
    case undefined:
      throw new FlagError(`a command is needed\n${usage}`);
    default:
      throw new FlagError(`this fortio has no command ${command}; it has load, curl and server\n${usage}`);
  }
}

main(process.argv.slice(2)).catch((error: Error) => {
  console.error(`fortio: ${error.message}`);
  process.exitCode = error instanceof FlagError ? 2 : 1;
});
