import { FATAL_EXIT } from '../cluster/messages.ts';
import { connectParent } from '../cluster/parent.ts';
import { FatalStartError, startCluster } from '../cluster/server.ts';

const log = (line: string) => console.log(`${new Date().toISOString()} ${line}`);
const parent = connectParent(process);
let stop: (() => Promise<void>) | undefined;
parent.onStop(() => {
  void (stop?.() ?? Promise.resolve()).finally(() => process.exit(0));
});
// Without a supervisor nobody opens ports for this process; its successor takes over the running pods.
process.on('disconnect', () => process.exit(0));
process.on('unhandledRejection', (reason) => {
  log(`unhandled: ${reason instanceof Error ? (reason.stack ?? reason.message) : String(reason)}`);
});
process.on('uncaughtException', (error) => {
  log(`uncaught: ${error.stack ?? error.message}`);
  process.exit(1);
});
startCluster(JSON.parse(process.argv[2] ?? '{}'), parent, log).then(
  (cluster) => {
    stop = cluster.stop;
  },
  (error: Error) => {
    log(error.stack ?? error.message);
    if (error instanceof FatalStartError) {
      parent.setPhase({ phase: 'failed', message: error.message });
      setTimeout(() => process.exit(FATAL_EXIT), 50);
    } else process.exit(1);
  },
);
