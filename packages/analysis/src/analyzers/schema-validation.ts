import { type Kind, kinds } from '@istio-ts/api/kinds';
import { validate } from '@istio-ts/api/objects';
import { formatProblem } from '@istio-ts/api/problems';
import { standInFor } from '@istio-ts/mesh/stand-in';
import type { Analyzer } from '../analyzer.ts';

const names = kinds.map(({ kind }) => kind as Kind);

/** Every object of Istio's kinds against its schema and the rules of its kind, as the validation webhook checks them. */
export const schemaValidation: Analyzer = {
  name: 'schema.ValidationAnalyzer',
  description: 'Checks every Istio object against its schema and the rules of its kind',
  inputs: names,
  eachAlone: true,
  run: (context) => {
    for (const kind of names) {
      for (const entry of context.objects(kind)) {
        const problems = validate(entry.object);
        const standIn = problems.some(({ severity }) => severity === 'error')
          ? standInFor(kind, entry.object)
          : undefined;
        if (standIn !== undefined) context.report(entry, 'PolicyNeverRight', { meanwhile: standIn.meanwhile });
        for (const problem of problems) {
          const text = formatProblem(problem);
          if (problem.about === 'deprecated') context.report(entry, 'Deprecated', { detail: text }, problem.path);
          else if (problem.severity === 'error')
            context.report(entry, 'SchemaValidationError', { err: text }, problem.path);
          // Rules that are never used have a message of their own, which knows more of the reason.
          else if (problem.about !== 'unreachable') context.report(entry, 'SchemaWarning', { err: text }, problem.path);
        }
      }
    }
  },
};
