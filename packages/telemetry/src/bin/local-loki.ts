import { LOKI_NOTICE, startLogServer } from '../logs/server.ts';

/** What answers behind Loki's image on the local cluster, where Loki's program is not: a store of logs with a part of Loki's API, which says what it is. */
const server = await startLogServer({ port: 3100, now: Date.now });
for (const signal of ['SIGTERM', 'SIGINT'] as const)
  process.on(signal, () => {
    server.close();
    process.exit(0);
  });
process.stdout.write(`${LOKI_NOTICE}\n`);
