// Runs the end-to-end tests on any cluster: `npm run e2e -- [--kubeconfig FILE] [--load-balancers RANGE] [WORDS...]`. Without a kubeconfig: on local clusters.
import { parseArgs } from 'node:util';

const HELP = `Runs the end-to-end tests: on local clusters of their own, or on the cluster of a kubeconfig.

Usage: npm run e2e -- [--kubeconfig FILE] [--load-balancers RANGE] [WORDS...]

  --kubeconfig FILE       the cluster to run on; it must have no mesh, and has nothing of the tests' afterwards
  --load-balancers RANGE  addresses for services of type LoadBalancer, where the cluster gives them none and the tests
                          run in the network of its node, for example 172.30.0.64/26
  WORDS                   only files whose names contain one of them

Examples:
  npm run e2e -- tasks
  npm run e2e -- --kubeconfig ~/.kube/config mesh upgrade
`;

let values;
let positionals;
try {
  ({ values, positionals } = parseArgs({
    options: {
      kubeconfig: { type: 'string' },
      'load-balancers': { type: 'string' },
      help: { type: 'boolean', short: 'h' },
    },
    allowPositionals: true,
  }));
} catch (error) {
  console.error(`${error.message}\n\n${HELP}`);
  process.exit(2);
}
if (values.help) {
  console.log(HELP);
  process.exit(0);
}
if (values.kubeconfig !== undefined) process.env.E2E_KUBECONFIG = values.kubeconfig;
if (values['load-balancers'] !== undefined) process.env.E2E_LOAD_BALANCERS = values['load-balancers'];
process.argv.splice(2, process.argv.length, 'e2e', ...positionals);
await import('./test.mjs');
