import { createLog } from '../log.ts';
import { startRateLimit } from '../server.ts';
import { readSettings } from '../settings.ts';

const HELP = `ratelimit: a rate limit service for Envoy (envoy.service.ratelimit.v3).

It has no flags; environment variables say what it does, as those of envoyproxy/ratelimit do:
  RUNTIME_ROOT, RUNTIME_SUBDIRECTORY, RUNTIME_APPDIRECTORY   the folder of the configuration files
  REDIS_SOCKET_TYPE, REDIS_URL                               where requests are counted; in memory without REDIS_URL
  GRPC_PORT (8081), PORT (8080), DEBUG_PORT (6070)           ports
docs/rate-limits.md has all of them.
`;

if (process.argv.slice(2).some((word) => word === '--help' || word === '-h')) {
  process.stdout.write(HELP);
  process.exit(0);
}
// From the beginning: as the first process of a container it would not be ended by a signal that it does not handle.
let stop = (): void => process.exit(0);
process.on('SIGTERM', () => stop());
process.on('SIGINT', () => stop());
try {
  const settings = readSettings(process.env);
  const { level, json } = settings.log;
  const log = createLog(
    level,
    json,
    (line) => void process.stderr.write(line),
    () => new Date(),
  );
  const running = await startRateLimit({ settings, now: Date.now, log });
  stop = () => {
    stop = () => process.exit(1);
    running.close().then(
      () => process.exit(0),
      (error: unknown) => {
        log.error(String(error));
        process.exit(1);
      },
    );
  };
} catch (error) {
  process.stderr.write(`Error: ${error instanceof Error ? error.message : error}\n`);
  process.exit(1);
}
