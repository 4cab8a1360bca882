import { runSupervisor } from '../cluster/supervisor.ts';

runSupervisor(JSON.parse(process.argv[2] ?? '{}')).then(
  () => process.exit(0),
  (error: Error) => {
    console.error(error.stack ?? error.message);
    process.exit(1);
  },
);
