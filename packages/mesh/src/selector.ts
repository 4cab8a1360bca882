/** Whether `labels` has everything that `selector` asks for. An empty selector matches everything. */
export function selectorMatches(
  selector: Readonly<Record<string, string>> | undefined,
  labels: Readonly<Record<string, string>>,
): boolean {
  for (const key in selector) if (labels[key] !== selector[key]) return false;
  return true;
}

/** Whether a selector asks for anything. */
export const isEmptySelector = (selector: Readonly<Record<string, string>> | undefined): boolean =>
  selector === undefined || Object.keys(selector).length === 0;
