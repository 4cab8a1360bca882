import { isLabelName, type Labels, labelValue, withLabel } from '../../labels.ts';
import { anchoredPattern, PatternError } from '../../storage/matcher.ts';
import { EvaluationError } from '../errors.ts';

/** `label_replace`: sets a label from what an expression finds in another. Raises EvaluationError. */
export function labelReplacer(
  to: string,
  replacement: string,
  from: string,
  pattern: string,
): (labels: Labels) => Labels {
  if (!isLabelName(to)) throw new EvaluationError(`invalid destination label name in label_replace(): ${to}`);
  let expand: ReturnType<typeof anchoredPattern>;
  try {
    expand = anchoredPattern(pattern);
  } catch (error) {
    if (error instanceof PatternError)
      throw new EvaluationError(`invalid regular expression in label_replace(): ${error.message}`);
    throw error;
  }
  return (labels) => {
    const value = expand(labelValue(labels, from), replacement);
    return value === undefined ? labels : withLabel(labels, to, value);
  };
}

/** `label_join`: sets a label from several others. Raises EvaluationError. */
export function labelJoiner(to: string, separator: string, from: readonly string[]): (labels: Labels) => Labels {
  for (const name of [...from, to])
    if (!isLabelName(name)) throw new EvaluationError(`invalid label name in label_join(): ${name}`);
  return (labels) => withLabel(labels, to, from.map((name) => labelValue(labels, name)).join(separator));
}
