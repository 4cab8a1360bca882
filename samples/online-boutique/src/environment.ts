/** Reads a port from the environment. Throws with the variable's name when it is not a port. */
export function portFrom(env: Readonly<Record<string, string | undefined>>, fallback: number): number {
  const text = env.PORT ?? String(fallback);
  const port = Number(text);
  if (!Number.isInteger(port) || port < 0 || port > 65535)
    throw new Error(`PORT must be a number from 0 to 65535, not '${text}'`);
  return port;
}

/** Reads the address of another service. Throws with the variable's name when it is missing. */
export function addressFrom(env: Readonly<Record<string, string | undefined>>, variable: string): string {
  const address = env[variable];
  if (!address) throw new Error(`${variable} is not set: it must be host:port of the service`);
  return address;
}

const unitMs: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
};

/** Reads a duration such as `3s`, `5.5s` or `1m30s` (Go's notation) into milliseconds. Throws when it cannot be read. */
export function durationMs(text: string): number {
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)/g)];
  if (parts.length === 0 || parts.map(([part]) => part).join('') !== text)
    throw new Error(`'${text}' is not a duration: write for example 3s or 250ms`);
  return parts.reduce((sum, [, value, unit]) => sum + Number(value) * (unitMs[unit ?? ''] ?? 0), 0);
}
