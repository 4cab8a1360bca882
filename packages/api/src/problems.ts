/** Something wrong in a field of an object. The message says what is wrong and what to do. */
export interface FieldProblem {
  readonly severity: 'error' | 'warning';
  /** For example `spec.http[0].route[1].weight`; '' for the object as a whole. */
  readonly path: string;
  readonly message: string;
  /** What sort of problem it is, where readers tell them apart. */
  readonly about?: 'deprecated' | 'unreachable' | 'unknown';
}

/** Path of a field inside an object or map. */
export function fieldPath(parent: string, field: string): string {
  if (!/^[A-Za-z_][A-Za-z0-9_-]*$/.test(field)) return `${parent}[${JSON.stringify(field)}]`;
  return parent === '' ? field : `${parent}.${field}`;
}

/** Path of an item of a list. */
export function itemPath(parent: string, index: number): string {
  return `${parent}[${index}]`;
}

/** How many problems of one object are kept: enough to work on, and a bound for hostile objects. */
const maxProblems = 100;

/** Collects problems of one object. */
export class ProblemList {
  readonly #problems: FieldProblem[] = [];

  get problems(): readonly FieldProblem[] {
    return this.#problems;
  }

  error(path: string, message: string): void {
    this.#add('error', path, message);
  }

  warning(path: string, message: string, about?: FieldProblem['about']): void {
    this.#add('warning', path, message, about);
  }

  add(problem: FieldProblem): void {
    this.#add(problem.severity, problem.path, problem.message, problem.about);
  }

  #add(severity: FieldProblem['severity'], path: string, message: string, about?: FieldProblem['about']): void {
    if (this.#problems.length < maxProblems)
      this.#problems.push({ severity, path, message, ...(about !== undefined && { about }) });
  }
}

/** A user's value for a message: shortened and quoted. */
export function quote(value: unknown): string {
  const text = typeof value === 'string' ? value : (JSON.stringify(value) ?? String(value));
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 77)}...` : text);
}

/** One line for people: `VirtualService a/b: spec.hosts: ...`. */
export function formatProblem(problem: FieldProblem): string {
  return problem.path === '' ? problem.message : `${problem.path}: ${problem.message}`;
}
