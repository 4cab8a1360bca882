import { setTimeout as delay } from 'node:timers/promises';
import { RegistryError, TransientError } from './registry-error.ts';

/** What speaking to a registry needs of the surroundings. */
export interface Network {
  readonly send: typeof fetch;
  /** Waits for so many milliseconds. */
  readonly sleep: (milliseconds: number) => Promise<void>;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

export const NETWORK: Network = { send: fetch, sleep: (milliseconds) => delay(milliseconds), now: Date.now };

/** How often something is tried in all. */
const ATTEMPTS = 5;
/** The pause after the first attempt, in milliseconds; each further one is twice as long. */
const FIRST_PAUSE = 1000;
/** A registry that wants more patience than this, in milliseconds, is told of instead of waited for. */
const LONGEST_PAUSE = 60_000;

/** Connections that broke off or did not come about in time: `code` of what fetch gives as the cause. */
const BROKEN = new Set(['ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'EAI_AGAIN', 'UND_ERR_SOCKET', 'UND_ERR_CONNECT_TIMEOUT']);

/**
 * Sends one request and gives its answer. Raises TransientError for 429, for 5xx and for connections that broke, RegistryError for a server that cannot be
 * reached. `what` completes "HOST …" in messages: `refuses a layer of team/pilot`.
 */
export async function exchange(network: Network, what: string, url: string, init: RequestInit): Promise<Response> {
  let answer: Response;
  try {
    answer = await network.send(url, init);
  } catch (error) {
    throw unreachable(url, error);
  }
  const { status } = answer;
  // 501 stays as it is however often one asks.
  if (status !== 429 && (status < 500 || status === 501)) return answer;
  const { message } = await refusal(what, url, answer);
  throw new TransientError(message, status, retryAfter(answer.headers.get('retry-after'), network.now()));
}

/** Does something again while it fails for reasons that pass, with growing pauses and not before the server wants it. Raises RegistryError. */
export async function persistently<Result>(network: Network, operation: () => Promise<Result>): Promise<Result> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await operation();
    } catch (error) {
      if (!(error instanceof TransientError)) throw error;
      const pause = Math.max(FIRST_PAUSE * 2 ** (attempt - 1), error.retryAfter ?? 0);
      if (attempt === ATTEMPTS) throw new RegistryError(`${error.message} (tried ${ATTEMPTS} times)`, error.status);
      if (pause > LONGEST_PAUSE)
        throw new RegistryError(
          `${error.message} (it wants to be asked again in ${Math.ceil(pause / 1000)} s)`,
          error.status,
        );
      await network.sleep(pause);
    }
  }
}

/** The error for an answer that is not the wanted one, with the beginning of what it says. */
export async function refusal(what: string, url: string, answer: Response): Promise<RegistryError> {
  // What another machine says goes to a terminal.
  const text = (await answer.text().catch(() => '')).slice(0, 300).replace(/\p{Cc}+/gu, ' ');
  return new RegistryError(
    `${new URL(url).host} ${what}: ${answer.status} ${answer.statusText} ${text}`.trim(),
    answer.status,
  );
}

/** The text of an answer. Raises TransientError when the connection breaks within it. */
export async function textOf(url: string, answer: Response): Promise<string> {
  try {
    return await answer.text();
  } catch (error) {
    throw unreachable(url, error);
  }
}

/** Gives the connection of an answer back whose content does not matter. */
export async function discard(answer: Response): Promise<void> {
  await answer.body?.cancel().catch(() => undefined);
}

/** `Retry-After` (RFC 9110, 10.2.3) in milliseconds from now. */
function retryAfter(text: string | null, now: number): number | undefined {
  if (text === null) return undefined;
  const milliseconds = /^\d+$/.test(text.trim()) ? Number(text) * 1000 : Date.parse(text) - now;
  return Number.isNaN(milliseconds) ? undefined : Math.max(0, milliseconds);
}

function unreachable(url: string, error: unknown): RegistryError {
  const { cause, message } = error as Error;
  const code = (cause as NodeJS.ErrnoException | undefined)?.code ?? '';
  const { host } = new URL(url);
  // What TLS says of an answer that is HTTP as it is.
  if (/^ERR_SSL_(WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG)$/.test(code))
    return new RegistryError(`${host} does not speak TLS: --plain-http speaks to it without`, 0);
  const said = `cannot reach ${host}: ${(cause instanceof Error && cause.message) || code || message}`;
  return BROKEN.has(code) ? new TransientError(said, 0, undefined) : new RegistryError(said, 0);
}
