/** How istioctl ends when it was called wrongly: an unknown command or flag, or a value that cannot be read (EX_USAGE of sysexits.h, as Istio's). */
export const usageExitCode = 64;

/** A failure whose message is for the user; ends istioctl with `exitCode`. */
export class CliError extends Error {
  readonly exitCode: number;
  constructor(message: string, exitCode = 1) {
    super(message);
    this.name = 'CliError';
    this.exitCode = exitCode;
  }
}
