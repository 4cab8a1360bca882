import { useEffect, useState } from 'preact/hooks';
import { isAbort, messageOf } from '../state/request.ts';
import { queryValue } from '../state/router.ts';
import { allChoice, applyRegex, type Choices, interpolate, readVariableQuery, type Window } from './interpolate.ts';
import type { Variable } from './model.ts';
import { askInstant } from './prometheus.ts';

export interface Variables {
  readonly options: ReadonlyMap<string, readonly string[]>;
  readonly choices: Choices;
  readonly ready: boolean;
  readonly problem: string | undefined;
}

/** What a variable is set to: by the address, else as the dashboard begins, else its first value. */
export function chosenValues(variable: Variable, options: readonly string[]): readonly string[] {
  const given = queryValue(`var-${variable.name}`);
  if (given !== '') return given.split(',');
  if (variable.initial.includes(allChoice) || variable.initial.includes('All')) return [allChoice];
  const known = variable.initial.filter((value) => options.includes(value));
  if (known.length > 0) return known;
  if (variable.kind === 'textbox' || variable.kind === 'constant')
    return variable.query === '' ? variable.initial : [variable.query];
  if (variable.includeAll) return [allChoice];
  return options.slice(0, 1);
}

async function optionsOf(
  variable: Variable,
  replace: (text: string) => string,
  now: number,
  signal: AbortSignal,
): Promise<readonly string[]> {
  if (variable.kind !== 'query') return variable.options;
  const asked = readVariableQuery(replace(variable.query));
  switch (asked.kind) {
    case 'labelValues': {
      const selector = asked.metric === '' ? `{${asked.label}!=""}` : asked.metric;
      const answers = await askInstant(`count by (${asked.label}) (${selector})`, now, signal);
      const values = answers.map(({ labels }) => labels[asked.label] ?? '').filter((value) => value !== '');
      return applyRegex([...new Set(values)].sort(), variable.regex);
    }
    case 'queryResult': {
      const answers = await askInstant(asked.expr, now, signal);
      const lines = answers.map(
        ({ labels: { __name__: name = '', ...rest }, points }) =>
          `${name}{${Object.entries(rest)
            .map(([label, value]) => `${label}="${value}"`)
            .join(',')}} ${points[0]?.[1] ?? ''}`,
      );
      return [...new Set(applyRegex(lines, variable.regex))].sort();
    }
    case 'unknown':
      return variable.options;
  }
}

/** Reads the values of a dashboard's variables, one after the other: later ones may use earlier ones. */
export function useVariables(variables: readonly Variable[], window: Window): Variables {
  const [options, setOptions] = useState<ReadonlyMap<string, readonly string[]> | undefined>(undefined);
  const [problem, setProblem] = useState<string | undefined>(undefined);
  const given = variables.map(({ name }) => queryValue(`var-${name}`)).join('\n');
  // Read again when a choice or the variables change, not with every reading of the panels.
  useEffect(() => {
    const abort = new AbortController();
    const read = async () => {
      const found = new Map<string, readonly string[]>();
      const choices = new Map<string, readonly string[]>();
      for (const variable of variables) {
        const values = await optionsOf(
          variable,
          (text) => interpolate(text, variables, choices, found, window),
          window.to,
          abort.signal,
        );
        found.set(variable.name, values);
        choices.set(variable.name, chosenValues(variable, values));
      }
      setOptions(found);
      setProblem(undefined);
    };
    read().catch((error: unknown) => {
      if (isAbort(error)) return;
      setProblem(messageOf(error));
      setOptions((before) => before ?? new Map());
    });
    return () => abort.abort();
  }, [variables, given]);
  const known = options ?? new Map<string, readonly string[]>();
  return {
    options: known,
    choices: new Map(
      variables.map((variable) => [variable.name, chosenValues(variable, known.get(variable.name) ?? [])]),
    ),
    ready: options !== undefined,
    problem,
  };
}
