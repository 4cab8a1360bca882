/** A JSON path: `virtualHosts[3].routes[0].match`. */
function joinPath(path: string, rest: string): string {
  if (rest === '') return path;
  return rest.startsWith('[') ? path + rest : `${path}.${rest}`;
}

/** An object does not fit its message type. */
export class EncodeError extends Error {
  override readonly name = 'EncodeError';
  /** What is wrong, without the place. */
  readonly reason: string;
  /** The message type that was being encoded. */
  typeName = '';
  /** Where in the object, empty for the object itself. */
  path: string;

  constructor(reason: string, path = '') {
    super(reason);
    this.reason = reason;
    this.path = path;
  }

  /** Adds the name of the field (or index) that holds the place; called from the inside out. */
  within(segment: string): this {
    this.path = joinPath(segment, this.path);
    return this;
  }

  /** Completes the message once the outermost type is known. */
  in(typeName: string): this {
    this.typeName = typeName;
    this.message = `${typeName}${this.path === '' ? '' : ` field ${this.path}`}: ${this.reason}`;
    return this;
  }
}

/** Bytes are no message of the type. */
export class DecodeError extends Error {
  override readonly name = 'DecodeError';
  readonly reason: string;
  typeName = '';
  path = '';

  constructor(reason: string) {
    super(reason);
    this.reason = reason;
  }

  within(segment: string): this {
    this.path = joinPath(segment, this.path);
    return this;
  }

  in(typeName: string): this {
    this.typeName = typeName;
    this.message = `${typeName}${this.path === '' ? '' : ` field ${this.path}`}: ${this.reason}`;
    return this;
  }
}
