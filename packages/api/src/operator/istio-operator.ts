import { decodeMeshConfig } from '../mesh/decode.ts';
import { type FieldProblem, fieldPath, ProblemList } from '../problems.ts';
import { decode } from '../schema/decode.ts';
import { boolean, list, map, object, string, struct, type TypeOf } from '../schema/schema.ts';

const component = {
  enabled: boolean('Install it.'),
  namespace: string('Namespace of its objects.'),
  hub: string('Registry of its images.'),
  tag: string('Tag of its images.'),
  spec: struct('Not used.'),
  k8s: struct('Changes of its Kubernetes objects.'),
};
const gateways = list(
  object('A gateway.', {
    ...component,
    name: string('Name of its Deployment and Service.'),
    label: map(string(), 'Labels.'),
  }),
);
const plain = object('A component.', component);

/** What `istioctl install` reads. Helm values and Kubernetes overlays are free-form here; the charts check them. */
export const istioOperatorSpec = object('An installation of Istio.', {
  profile: string('Name of a profile.'),
  installPackagePath: string('Folder of charts.'),
  hub: string('Registry of the images.'),
  tag: string('Tag of the images.'),
  resourceSuffix: string('Not used.'),
  namespace: string('Namespace of the control plane.'),
  revision: string('Revision of the control plane.', { pattern: '^$|^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$' }),
  compatibilityVersion: string('Version whose behaviour to keep.'),
  meshConfig: struct('Settings of the whole mesh.'),
  components: object('Components.', {
    base: plain,
    pilot: plain,
    cni: plain,
    ztunnel: plain,
    istiodRemote: plain,
    ingressGateways: gateways,
    egressGateways: gateways,
  }),
  addonComponents: struct('Not used.'),
  values: struct('Helm values.'),
  unvalidatedValues: struct('Helm values that are not checked.'),
});
export type IstioOperatorSpec = TypeOf<typeof istioOperatorSpec>;

/**
 * Reads the spec of an IstioOperator (install.istio.io/v1alpha1): its own fields strictly, the mesh configuration by its
 * schema, values and Kubernetes overlays not at all. Tags may be written as numbers (`tag: 1.30`), as YAML reads them.
 */
export function decodeIstioOperator(spec: unknown): {
  readonly value: IstioOperatorSpec;
  readonly problems: readonly FieldProblem[];
} {
  const problems = new ProblemList();
  const input = isFields(spec) && typeof spec.tag === 'number' ? { ...spec, tag: String(spec.tag) } : spec;
  const value = decode(istioOperatorSpec, input ?? {}, 'spec', problems, { unknownFields: 'error' });
  if (value.meshConfig) {
    for (const problem of decodeMeshConfig(value.meshConfig).problems) {
      problems.add({ ...problem, path: problem.path === '' ? 'spec.meshConfig' : `spec.meshConfig.${problem.path}` });
    }
  }
  for (const side of ['ingressGateways', 'egressGateways'] as const) {
    value.components?.[side]?.forEach((gateway, index) => {
      if (!gateway.name) problems.error(`${fieldPath('spec.components', side)}[${index}].name`, 'is required');
    });
  }
  return { value, problems: problems.problems };
}

function isFields(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
