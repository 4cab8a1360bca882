import { effect, signal } from '@preact/signals';
import type { Session } from '../../src/api.ts';
import { getJson, isAbort, messageOf, refused, RequestError, sendJson } from './request.ts';

/** Who is asking, and what may be done; undefined until the server has said so. */
export const session = signal<Session | undefined>(undefined);
export const sessionProblem = signal<string | undefined>(undefined);

/** True when a token has to be given before anything is shown. */
export const needsLogin = (): boolean => session.value?.strategy === 'token' && session.value.user === undefined;

/** True for somebody who looks without a token where one can be given to do more. */
export const isAnonymous = (): boolean => session.value?.strategy === 'anonymous' && session.value.user === 'anonymous';

/** Whether somebody who may look without a token wants to give one. */
export const signingIn = signal(false);

export const mayWrite = (): boolean => session.value?.mayWrite === true;

export async function readSession(): Promise<void> {
  try {
    session.value = await getJson<Session>('session');
    sessionProblem.value = undefined;
  } catch (error) {
    if (isAbort(error)) return;
    sessionProblem.value = messageOf(error);
  }
}

/** Raises a RequestError when the token is not accepted. */
export async function login(token: string): Promise<void> {
  await sendJson('POST', 'login', { token });
  await readSession();
  signingIn.value = false;
}

export async function logout(): Promise<void> {
  await sendJson('POST', 'logout').catch((error: unknown) => {
    if (!(error instanceof RequestError)) throw error;
  });
  await readSession();
}

/** Asks again who we are when an answer said that nobody is known. */
export function watchSession(): void {
  let seen = 0;
  effect(() => {
    if (refused.value === seen) return;
    seen = refused.value;
    if (session.peek()?.user !== undefined) void readSession();
  });
}
