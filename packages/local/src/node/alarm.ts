/** Wakes somebody once, at the earliest of the times that were asked for. */
export interface Alarm {
  readonly in: (milliseconds: number) => void;
  cancel(): void;
}

/** The longest time that Node's timers can wait. */
const LONGEST = 2 ** 31 - 1;

export function createAlarm(wake: () => void): Alarm {
  let timer: NodeJS.Timeout | undefined;
  let at = Number.POSITIVE_INFINITY;
  return {
    in(milliseconds) {
      const due = Date.now() + milliseconds;
      if (due >= at) return;
      clearTimeout(timer);
      at = due;
      timer = setTimeout(
        () => {
          at = Number.POSITIVE_INFINITY;
          wake();
        },
        Math.min(Math.max(milliseconds, 0), LONGEST),
      );
    },
    cancel: () => clearTimeout(timer),
  };
}
