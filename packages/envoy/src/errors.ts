/** A JSON path: `virtualHosts[3].routes[0].match`. */
function joinPath(path: string, rest: string): string {
  if (rest === '') return path;
  return rest.startsWith('[') ? path + rest : `${path}.${rest}`;
}

/** An error whose place is put together on the way out of nested messages. */
abstract class PlacedError extends Error {
  /** What is wrong, without the place. */
  readonly reason: string;
  /** The outermost message type, once it is known. */
  typeName = '';
  /** Where in the message, empty for the message itself. */
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

/** An object does not fit its message type. */
export class EncodeError extends PlacedError {
  override readonly name = 'EncodeError';
}

/** Bytes are no message of the type. */
export class DecodeError extends PlacedError {
  override readonly name = 'DecodeError';
}
