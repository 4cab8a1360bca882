/** The truth of something that may depend on what nobody told: undefined is "cannot be known from here". */
export type Maybe = boolean | undefined;

export const not = (value: Maybe): Maybe => (value === undefined ? undefined : !value);

/** True when all are; false as soon as one is. */
export function every(values: readonly Maybe[]): Maybe {
  if (values.includes(false)) return false;
  return values.includes(undefined) ? undefined : true;
}

/** True as soon as one is. */
export const some = (values: readonly Maybe[]): Maybe => not(every(values.map(not)));
