import { type Kind, kinds } from '@istio-ts/api/kinds';
import { validate } from '@istio-ts/api/objects';
import { formatProblem } from '@istio-ts/api/problems';
import type { Analyzer } from '../analyzer.ts';

const names = kinds.map(({ kind }) => kind as Kind);

/** Every object of Istio's kinds against its schema and the rules of its kind, as the validation webhook checks them. */
export const schemaValidation: Analyzer = {
  name: 'schema.ValidationAnalyzer',
  description: 'Checks every Istio object against its schema and the rules of its kind',
  inputs: names,
  run: (context) => {
    for (const kind of names) {
      for (const entry of context.objects(kind)) {
        for (const problem of validate(entry.object)) {
          const name = problem.severity === 'error' ? 'SchemaValidationError' : 'SchemaWarning';
          context.report(entry, name, { err: formatProblem(problem) }, problem.path);
        }
      }
    }
  },
};
