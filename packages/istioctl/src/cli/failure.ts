export { CliError } from '@istio-ts/command-line/failure';

/** How istioctl ends when it was called wrongly: an unknown command or flag, or a value that cannot be read (EX_USAGE of sysexits.h, as Istio's). */
export const usageExitCode = 64;

/** Why a file cannot be read, in words: Node's own name the system call. */
export function unreadable(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'ENOENT') return 'there is no such file or folder';
  if (code === 'EACCES') return 'may not be read';
  if (code === 'EISDIR') return 'this is a folder, not a file';
  return message;
}
