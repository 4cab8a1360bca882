import { CliError } from '../cli/failure.ts';

/** What the work gives, unless it takes longer than `ms`: then a CliError that says what took so long. */
export async function within<T>(ms: number, what: string, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new CliError(`${what} did not answer within ${ms / 1000} s: raise --timeout to wait longer`)),
      ms,
    );
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
