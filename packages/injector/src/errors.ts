/** Injection that cannot be done; `object` says of which pod or configuration, `field` where in it. */
export class InjectionError extends Error {
  readonly object: string;
  readonly field: string;
  constructor(object: string, field: string, message: string, cause?: unknown) {
    super(field === '' ? `${object}: ${message}` : `${object}: ${field}: ${message}`, { cause });
    this.name = 'InjectionError';
    this.object = object;
    this.field = field;
  }
}
