import { formatProblem, kindOf, validate } from '@istio-ts/api';
import type { MetricsRegistry } from '@istio-ts/metrics';
import { ReviewError, readReview, reviewAnswer } from './review.ts';

/** Answers the validation webhook: refuses an invalid object with object, field and reason, and passes warnings on to the user. */
export function createValidationHandler(metrics: MetricsRegistry): (review: unknown) => object {
  const passed = metrics.counter('galley_validation_passed', 'Resource is valid');
  const failed = metrics.counter('galley_validation_failed', 'Resource validation failed');
  const broken = metrics.counter('galley_validation_http_error', 'Resource validation http serve errors');
  return (review) => {
    let read: ReturnType<typeof readReview>;
    try {
      read = readReview(review);
    } catch (error) {
      if (!(error instanceof ReviewError)) throw error;
      broken.add();
      return reviewAnswer('admission.k8s.io/v1', '', { allowed: false, message: error.message });
    }
    const { request, apiVersion } = read;
    const { object } = request;
    // Nothing to check: a deletion, or a kind that is not Istio's.
    if (!object || !kindOf(object.apiVersion, object.kind))
      return reviewAnswer(apiVersion, request.uid, { allowed: true });
    const [group = '', version = ''] = object.apiVersion.split('/');
    const labels = { group, version, resource: object.kind };
    const problems = validate(object);
    const errors = problems.filter(({ severity }) => severity === 'error');
    const warnings = problems.filter(({ severity }) => severity === 'warning').map(formatProblem);
    if (errors.length === 0) {
      passed.add(labels);
      return reviewAnswer(apiVersion, request.uid, { allowed: true, warnings });
    }
    failed.add({ ...labels, reason: 'invalid_resource' });
    const name = `${object.kind} ${request.namespace}/${object.metadata.name ?? object.metadata.generateName ?? ''}`;
    return reviewAnswer(apiVersion, request.uid, {
      allowed: false,
      warnings,
      message: `${name} is invalid: ${errors.map(formatProblem).join('; ')}`,
    });
  };
}
