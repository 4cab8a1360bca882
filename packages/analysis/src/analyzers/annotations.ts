import { knownAnnotations } from '@istio-ts/api/annotations';
import { knownLabels } from '@istio-ts/api/labels';
import { kinds, type Kind } from '@istio-ts/api/kinds';
import type { Analyzer } from '../analyzer.ts';
import { annotationValues } from '../annotation-values.ts';
import type { ConfigObject } from '../config-object.ts';
import type { AnalysisContext } from '../context.ts';
import type { InputKind } from '../input-kinds.ts';
import { isOwned, templateKinds, templateOf } from '../workloads.ts';

const known = new Map(knownAnnotations.map((annotation) => [annotation.name, annotation]));
const labels = new Set(knownLabels.map(({ name }) => name));
/** What istiod, the injector and the tools of a mesh write themselves. */
const written = new Set([
  'galley.istio.io/analyze-suppress',
  'istio.io/connectedAt',
  'istio.io/disconnectedAt',
  'istio.io/rev',
  'istio.io/workloadController',
  'sidecar.istio.io/status',
]);
/** Families of annotations outside of the reference: of the installer, and of telemetry by Kubernetes. */
const otherFamilies = /^(install\.operator|meta\.helm|operator|gateway\.networking|waypoint|internal)\./;

const istioKinds = kinds.map(({ kind }) => kind as Kind);
const plainKinds: readonly InputKind[] = ['Namespace', 'Service', 'Pod', 'Ingress', 'KubernetesGateway', ...istioKinds];

/** Annotations of Istio that are misspelt, misplaced, malformed, deprecated or not settled yet. */
export const annotations: Analyzer = {
  name: 'annotations.K8sAnalyzer',
  description: 'Checks the annotations of Istio: their names, places and values',
  inputs: [...plainKinds, ...templateKinds],
  eachAlone: true,
  run: (context) => {
    for (const kind of plainKinds)
      for (const object of context.objects(kind).filter(isUsers))
        check(context, object, object.annotations, object.object.kind, 'metadata.annotations');
    for (const kind of templateKinds)
      for (const object of context.objects(kind).filter(isUsers)) {
        check(context, object, object.annotations, object.object.kind, 'metadata.annotations');
        const template = templateOf(object);
        const path = `${template.specPath.replace(/\.spec$/, '')}.metadata.annotations`;
        check(context, object, template.annotations, 'Pod', path);
      }
  },
};

/** Neither made by another object nor part of the mesh's own installation. */
const isUsers = (object: ConfigObject): boolean =>
  !isOwned(object) && object.labels['operator.istio.io/component'] === undefined;

function check(
  context: AnalysisContext,
  object: ConfigObject,
  found: Readonly<Record<string, string>>,
  kind: string,
  parent: string,
): void {
  for (const [annotation, value] of Object.entries(found)) {
    const path = `${parent}[${JSON.stringify(annotation)}]`;
    const definition = known.get(annotation);
    if (definition === undefined) {
      const domain = annotation.split('/')[0] ?? '';
      if (/(^|\.)istio\.io$/.test(domain) && !otherFamilies.test(domain) && !labels.has(annotation))
        context.report(object, 'UnknownAnnotation', { annotation }, path);
      continue;
    }
    if (!definition.on.includes('Any') && !definition.on.includes(kind)) {
      context.report(object, 'MisplacedAnnotation', { annotation, kind }, path);
      continue;
    }
    const problem = annotationValues[annotation]?.(value);
    if (problem !== undefined) context.report(object, 'InvalidAnnotation', { annotation, problem }, path);
    if (definition.deprecated) {
      const extra = labels.has(annotation) ? `Use the label ${annotation} instead.` : '';
      context.report(object, 'DeprecatedAnnotation', { annotation, extra }, path);
    } else if (definition.status === 'Alpha' && !written.has(annotation))
      context.report(object, 'AlphaAnnotation', { annotation }, path);
  }
}
