/** How serious a message is, as `istioctl analyze` prints it. */
export const levels = ['Info', 'Warning', 'Error'] as const;
export type Level = (typeof levels)[number];

/** Whether `level` is at least as serious as `threshold`. */
export const reaches = (level: Level, threshold: Level): boolean => levels.indexOf(level) >= levels.indexOf(threshold);

/** Reads a level in any case; undefined for what is none. */
export const parseLevel = (text: string): Level | undefined =>
  levels.find((level) => level.toLowerCase() === text.toLowerCase());
