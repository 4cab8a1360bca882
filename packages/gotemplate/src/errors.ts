/** A template that does not parse. `template` and `line` say where; the message has the form of Go's `text/template`. */
export class TemplateParseError extends Error {
  readonly template: string;
  readonly line: number;
  /** The message without the place. */
  readonly detail: string;
  constructor(template: string, line: number, detail: string) {
    super(`template: ${template}:${line}: ${detail}`);
    this.name = 'TemplateParseError';
    this.template = template;
    this.line = line;
    this.detail = detail;
  }
}

/** A template that parsed but failed while it ran: `template:line:column`, the template that ran, the expression, the reason. */
export class TemplateExecError extends Error {
  readonly template: string;
  readonly line: number;
  readonly column: number;
  readonly expression: string;
  /** The reason alone; for a nested template the innermost one. */
  readonly reason: string;
  constructor(
    at: {
      readonly template: string;
      readonly line: number;
      readonly column: number;
      readonly executing: string;
      readonly expression: string;
    },
    reason: string,
    cause?: unknown,
  ) {
    super(
      `template: ${at.template}:${at.line}:${at.column}: executing ${JSON.stringify(at.executing)} at <${at.expression}>: ${reason}`,
      { cause },
    );
    this.name = 'TemplateExecError';
    this.template = at.template;
    this.line = at.line;
    this.column = at.column;
    this.expression = at.expression;
    this.reason = cause instanceof TemplateExecError ? cause.reason : cause instanceof Error ? cause.message : reason;
  }
}

/** Thrown by a template function; the evaluator adds where it was called. */
export class FunctionError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'FunctionError';
  }
}

/** The author of a chart stopped the rendering by `fail` or `required`; users see this text first. */
export class DeliberateFailure extends FunctionError {
  constructor(message: string) {
    super(message);
    this.name = 'DeliberateFailure';
  }
}
