// `npm run bench -- pods [--kubeconfig FILE] [--pods N]`: how long a pod takes to become ready without a sidecar, with one whose
// rules an init container writes, and with one whose rules the CNI plugin writes; and what sidecars and istiod take of memory. On a local cluster, or on
// the one of a kubeconfig, in which there must be no mesh.
import { parseArgs } from 'node:util';

const HELP = `Pod start-up without sidecar, with istio-init and with the CNI plugin; memory of sidecars and istiod.

Usage: npm run bench -- pods [--kubeconfig FILE] [--pods N]

  --kubeconfig FILE  a cluster without a mesh that has the project's images; without it a local cluster
  --pods N           pods of each kind, one after the other (default 5)
`;
const { values } = parseArgs({
  args: process.argv.slice(3),
  options: {
    kubeconfig: { type: 'string' },
    pods: { type: 'string', default: '5' },
    help: { type: 'boolean', short: 'h' },
  },
});
if (values.help) {
  console.log(HELP);
  process.exit(0);
}
if (values.kubeconfig !== undefined) process.env.E2E_KUBECONFIG = values.kubeconfig;
const { measurePods } = await import('./measure.ts');
await measurePods(Number(values.pods));
