/** How the operator's commands talk to people. */
export interface Ui {
  /** A line of output. */
  line(text: string): void;
  /** A line about something that went wrong or is worth a second look. */
  warn(text: string): void;
  /** A step that takes a while: `note` says what it is waiting for (shown where lines can be rewritten), the others end it. */
  step(title: string): Step;
  /** Asks a yes-or-no question; false when nobody can answer. */
  confirm(question: string): Promise<boolean>;
}

export interface Step {
  note(text: string): void;
  done(text?: string): void;
  fail(text: string): void;
}
