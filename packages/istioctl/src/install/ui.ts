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
  /**
   * While `work` runs, an interruption (Ctrl-C, SIGTERM) ends the program with the line that `describe` gives. Who has no terminal leaves it out.
   */
  interruptible?<T>(describe: () => string, work: () => Promise<T>): Promise<T>;
}

export interface Step {
  note(text: string): void;
  done(text?: string): void;
  fail(text: string): void;
}

/** Runs `work` under the interruption handling of a Ui that has one. */
export const interruptible = <T>(ui: Ui, describe: () => string, work: () => Promise<T>): Promise<T> =>
  ui.interruptible ? ui.interruptible(describe, work) : work();
