import type { Analyzer } from '../analyzer.ts';
import { injectorSettings, namespaceChoice, podChoice, proxyContainer } from '../injection.ts';
import { workloadInputs, type Workload, templateKinds, templateOf, isOwned } from '../workloads.ts';

/** The image name that injection replaces. */
const auto = 'auto';

/** `image: auto` where nothing replaces it. */
export const imageAuto: Analyzer = {
  name: 'injection.ImageAutoAnalyzer',
  description: 'Finds proxies with the image "auto" that injection will not replace',
  inputs: ['Namespace', 'ConfigMap', ...workloadInputs],
  run: (context) => {
    const { enabledByDefault } = injectorSettings(context);
    const templates = templateKinds
      .flatMap((kind) => context.objects(kind).filter((object) => !isOwned(object)))
      .map(templateOf);
    const pods = context.workloads().filter(({ object }) => object.kind === 'Pod');
    const injected = (workload: Workload): boolean | undefined => {
      const own = podChoice(workload);
      const revision = workload.labels['istio.io/rev'] ?? '';
      const namespace = context.find('Namespace', '', workload.namespace);
      if (namespace === undefined) return undefined;
      const choice = namespaceChoice(namespace);
      if (choice === 'refuse') return false;
      if (own !== undefined) return own;
      if (revision !== '') return true;
      return choice === 'inject' || (choice === 'nothing' && enabledByDefault);
    };
    for (const workload of [...pods, ...templates]) {
      if (proxyContainer(workload)?.image !== auto || workload.object.assumed) continue;
      const name = { resourceType: workload.object.kind, resourceName: workload.name };
      // A pod of a cluster that still has it was not injected; nothing will do that any more.
      if (workload.object.kind === 'Pod' && workload.object.source === undefined)
        context.report(workload.object, 'ImageAutoWithoutInjectionError', name, workload.specPath);
      else {
        const will = injected(workload);
        if (will === true) continue;
        context.report(
          workload.object,
          will === false && workload.object.kind === 'Pod'
            ? 'ImageAutoWithoutInjectionError'
            : 'ImageAutoWithoutInjectionWarning',
          name,
          workload.specPath,
        );
      }
    }
  },
};
