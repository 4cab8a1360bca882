import { ImagesError } from '../images-error.ts';

/** A registry or its token server refused something or could not be reached; says what, and with which answer. */
export class RegistryError extends ImagesError {
  /** Status of the answer; 0 when there was none. */
  readonly status: number;
  constructor(message: string, status: number) {
    super(message);
    this.status = status;
  }
}

/** What the same request may not meet again: too many requests, a server that is overloaded or restarts, a connection that broke off. */
export class TransientError extends RegistryError {
  /** Milliseconds after which the server wants to be asked again, where it says so. */
  readonly retryAfter: number | undefined;
  constructor(message: string, status: number, retryAfter: number | undefined) {
    super(message, status);
    this.retryAfter = retryAfter;
  }
}
