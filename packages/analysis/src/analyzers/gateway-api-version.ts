import type { Analyzer } from '../analyzer.ts';

const group = 'gateway.networking.k8s.io';
const versionAnnotation = `${group}/bundle-version`;
/** The oldest version of the Gateway API that works with this release, and with the next. */
const minimum = 'v1.0.0';
const comingMinimum = 'v1.2.0';
/** Kinds that became usable in a later version. */
const minimumOf: Readonly<Record<string, string>> = {
  [`backendtlspolicies.${group}`]: 'v1.4.0',
  [`tlsroutes.${group}`]: 'v1.5.0',
};

/** CustomResourceDefinitions of the Gateway API that are too old. */
export const gatewayApiVersion: Analyzer = {
  name: 'gateway.APIVersionAnalyzer',
  description: 'Checks the version of the installed Gateway API',
  inputs: ['CustomResourceDefinition'],
  run: (context) => {
    for (const definition of context.objects('CustomResourceDefinition')) {
      if (!definition.name.endsWith(`.${group}`)) continue;
      const installed = definition.annotations[versionAnnotation] ?? '';
      if (!/^v\d+\.\d+\.\d+/.test(installed)) continue;
      const path = `metadata.annotations["${versionAnnotation}"]`;
      const own = minimumOf[definition.name];
      if (isOlder(installed, minimum))
        context.report(
          definition,
          'UnsupportedGatewayAPIVersion',
          { version: installed, minimumVersion: minimum },
          path,
        );
      else if (own !== undefined && isOlder(installed, own))
        context.report(
          definition,
          'GatewayAPICRDVersionBelowMinimum',
          { crd: definition.name, installedVersion: installed, minimumVersion: own },
          path,
        );
      else if (isOlder(installed, comingMinimum))
        context.report(
          definition,
          'FutureUnsupportedGatewayAPIVersion',
          { version: installed, minimumVersion: comingMinimum },
          path,
        );
    }
  },
};

/** Compares `v1.2.3`; a pre-release (`v1.2.3-rc1`) is older than its release. */
function isOlder(a: string, b: string): boolean {
  const parts = (version: string): readonly number[] => version.slice(1).split('-')[0]?.split('.').map(Number) ?? [];
  const [x, y] = [parts(a), parts(b)];
  for (let index = 0; index < 3; index++) {
    const difference = (x[index] ?? 0) - (y[index] ?? 0);
    if (difference !== 0) return difference < 0;
  }
  return a.includes('-') && !b.includes('-');
}
