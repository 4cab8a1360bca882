/** Writes one line of JSON, as log collectors like it. */
export function log(severity: 'info' | 'error', message: string): void {
  process.stdout.write(`${JSON.stringify({ timestamp: new Date().toISOString(), severity, message })}\n`);
}
