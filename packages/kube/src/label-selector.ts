/** One requirement of a selector; `operator` is In, NotIn, Exists or DoesNotExist. */
export interface LabelRequirement {
  readonly key?: string;
  readonly operator?: string;
  readonly values?: readonly string[];
}

/** A label selector of Kubernetes (meta/v1 LabelSelector). */
export interface LabelSelector {
  readonly matchLabels?: Readonly<Record<string, string>>;
  readonly matchExpressions?: readonly LabelRequirement[];
}

const isMap = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** A selector out of an object that nobody has checked; undefined where there is none. What is neither map, list nor text where one belongs counts as absent. */
export function readLabelSelector(value: unknown): LabelSelector | undefined {
  if (!isMap(value)) return undefined;
  const { matchLabels, matchExpressions } = value;
  const texts = (list: unknown): readonly string[] =>
    Array.isArray(list) ? list.filter((item) => typeof item === 'string') : [];
  return {
    // A label that is to have something else than a text is a label that nothing has.
    matchLabels: isMap(matchLabels) ? (matchLabels as Readonly<Record<string, string>>) : {},
    matchExpressions: (Array.isArray(matchExpressions) ? matchExpressions.filter(isMap) : []).map(
      ({ key, operator, values }) => ({
        ...(typeof key === 'string' && { key }),
        ...(typeof operator === 'string' && { operator }),
        values: texts(values),
      }),
    ),
  };
}

/** Labels as objects have them, or none. What is no text in an object from outside equals no value. */
export type LabelsOfObject = Readonly<Record<string, unknown>> | undefined;

/** Whether labels fulfil one requirement. One with an operator that Kubernetes does not know is fulfilled by nothing. */
export function requirementHolds(
  { key = '', operator, values = [] }: LabelRequirement,
  labels: LabelsOfObject = {},
): boolean {
  const present = Object.hasOwn(labels, key) && labels[key] !== undefined;
  const value = labels[key];
  switch (operator) {
    case 'In':
      return present && typeof value === 'string' && values.includes(value);
    case 'NotIn':
      return !present || typeof value !== 'string' || !values.includes(value);
    case 'Exists':
      return present;
    case 'DoesNotExist':
      return !present;
    default:
      return false;
  }
}

/** Whether `labels` has every pair of `wanted`. */
export function labelsInclude(wanted: Readonly<Record<string, string>>, labels: LabelsOfObject = {}): boolean {
  for (const key in wanted) if (!Object.hasOwn(labels, key) || labels[key] !== wanted[key]) return false;
  return true;
}

/** Whether labels fulfil a selector (Kubernetes, "Labels and Selectors": all requirements are ANDed; an empty selector takes everything). */
export function labelSelectorMatches(selector: LabelSelector, labels: LabelsOfObject): boolean {
  return (
    labelsInclude(selector.matchLabels ?? {}, labels) &&
    (selector.matchExpressions ?? []).every((requirement) => requirementHolds(requirement, labels))
  );
}
