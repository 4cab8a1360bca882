import { fields } from '@istio-ts/mesh/kubernetes/read';
import type { Analyzer } from '../analyzer.ts';
import { containersOf, templateKinds, templateOf, workloadInputs, isOwned } from '../workloads.ts';

/** User ID of the proxy: its traffic is what interception lets through (istio.io, "Application requirements"). */
const proxyUser = 1337;

/** Applications that run under the proxy's user ID. */
export const applicationUid: Analyzer = {
  name: 'applicationUID.Analyzer',
  description: "Finds applications that run with the sidecar's user ID, 1337",
  inputs: workloadInputs,
  eachAlone: true,
  run: (context) => {
    const templates = templateKinds
      .flatMap((kind) => context.objects(kind).filter((object) => !isOwned(object)))
      .map(templateOf);
    const owned = context.workloads().filter(({ object }) => object.kind === 'Pod' && !isOwned(object));
    for (const workload of [...templates, ...owned]) {
      const whole = fields(workload.spec.securityContext).runAsUser;
      const containers = containersOf(workload).filter(
        ({ container }) => !String(container.name).startsWith('istio-') && container.image !== 'auto',
      );
      const wrong = containers.find(
        ({ container }) => (fields(container.securityContext).runAsUser ?? whole) === proxyUser,
      );
      if (wrong === undefined) continue;
      const own = fields(wrong.container.securityContext).runAsUser === proxyUser;
      context.report(
        workload.object,
        'InvalidApplicationUID',
        {},
        `${own ? wrong.path : workload.specPath}.securityContext.runAsUser`,
      );
    }
  },
};
