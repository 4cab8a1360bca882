/** One cause inside the details of a `Status` (meta/v1 StatusCause). */
export interface StatusCause {
  readonly reason?: string;
  readonly message?: string;
  readonly field?: string;
}

export interface StatusDetails {
  readonly name?: string;
  readonly group?: string;
  readonly kind?: string;
  readonly uid?: string;
  readonly causes?: readonly StatusCause[];
  readonly retryAfterSeconds?: number;
}

/** An answer of the API server that is not a success; becomes a `Status` object (meta/v1) with `code`. */
export class ApiError extends Error {
  readonly code: number;
  readonly reason: string;
  readonly details: StatusDetails | undefined;
  constructor(code: number, reason: string, message: string, details?: StatusDetails) {
    super(message);
    this.name = 'ApiError';
    this.code = code;
    this.reason = reason;
    this.details = details;
  }
}

/** Group and plural of a resource, as error messages name it. */
export interface GroupResource {
  readonly group: string;
  readonly resource: string;
}

export function qualifiedResource(type: GroupResource): string {
  return type.group === '' ? type.resource : `${type.resource}.${type.group}`;
}

function details(type: GroupResource, name: string): StatusDetails {
  return { ...(name === '' ? {} : { name }), ...(type.group === '' ? {} : { group: type.group }), kind: type.resource };
}

export function notFound(type: GroupResource, name: string): ApiError {
  return new ApiError(404, 'NotFound', `${qualifiedResource(type)} "${name}" not found`, details(type, name));
}

export function alreadyExists(type: GroupResource, name: string): ApiError {
  return new ApiError(409, 'AlreadyExists', `${qualifiedResource(type)} "${name}" already exists`, details(type, name));
}

export function conflict(type: GroupResource, name: string, message: string): ApiError {
  return new ApiError(
    409,
    'Conflict',
    `Operation cannot be fulfilled on ${qualifiedResource(type)} "${name}": ${message}`,
    details(type, name),
  );
}

export const MODIFIED_MESSAGE =
  'the object has been modified; please apply your changes to the latest version and try again';

export function badRequest(message: string): ApiError {
  return new ApiError(400, 'BadRequest', message);
}

export function forbidden(type: GroupResource, name: string, message: string): ApiError {
  const quoted = name === '' ? '' : ` "${name}"`;
  return new ApiError(
    403,
    'Forbidden',
    `${qualifiedResource(type)}${quoted} is forbidden: ${message}`,
    details(type, name),
  );
}

export function methodNotAllowed(): ApiError {
  return new ApiError(405, 'MethodNotAllowed', 'the server does not allow this method on the requested resource');
}

export function pathNotFound(): ApiError {
  return new ApiError(404, 'NotFound', 'the server could not find the requested resource');
}

export function expired(message: string): ApiError {
  return new ApiError(410, 'Expired', message);
}

/** One finding of validation; `type` is the machine-readable reason of Kubernetes' field errors. */
export interface FieldError {
  readonly type:
    | 'FieldValueRequired'
    | 'FieldValueInvalid'
    | 'FieldValueDuplicate'
    | 'FieldValueForbidden'
    | 'FieldValueNotSupported'
    | 'FieldValueTooLong'
    | 'FieldValueTooMany'
    | 'FieldValueTypeInvalid'
    | 'FieldValueNotFound';
  readonly field: string;
  /** Text after `field: `, for example `Required value` or `Invalid value: "x": must be ...`. */
  readonly text: string;
}

function shown(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value);
  if (value === undefined) return 'null';
  return JSON.stringify(value) ?? 'null';
}

export const fieldError = {
  required: (field: string, detail = ''): FieldError => ({
    type: 'FieldValueRequired',
    field,
    text: detail === '' ? 'Required value' : `Required value: ${detail}`,
  }),
  invalid: (field: string, value: unknown, detail: string): FieldError => ({
    type: 'FieldValueInvalid',
    field,
    text: `Invalid value: ${shown(value)}: ${detail}`,
  }),
  typeInvalid: (field: string, value: unknown, detail: string): FieldError => ({
    type: 'FieldValueTypeInvalid',
    field,
    text: `Invalid value: ${shown(value)}: ${detail}`,
  }),
  duplicate: (field: string, value: unknown): FieldError => ({
    type: 'FieldValueDuplicate',
    field,
    text: `Duplicate value: ${shown(value)}`,
  }),
  forbidden: (field: string, detail: string): FieldError => ({
    type: 'FieldValueForbidden',
    field,
    text: `Forbidden: ${detail}`,
  }),
  notSupported: (field: string, value: unknown, supported: readonly unknown[]): FieldError => ({
    type: 'FieldValueNotSupported',
    field,
    text: `Unsupported value: ${shown(value)}: supported values: ${supported.map(shown).join(', ')}`,
  }),
  tooLong: (field: string, limit: number): FieldError => ({
    type: 'FieldValueTooLong',
    field,
    text: `Too long: may not be more than ${limit} bytes`,
  }),
  tooMany: (field: string, actual: number, limit: number): FieldError => ({
    type: 'FieldValueTooMany',
    field,
    text: `Too many: ${actual}: must have at most ${limit} items`,
  }),
};

/** The 422 answer with every finding, in the wording of the Kubernetes API server (`apimachinery/pkg/api/errors`, NewInvalid). */
export function invalid(group: string, kind: string, name: string, errors: readonly FieldError[]): ApiError {
  const lines = [...new Set(errors.map((error) => `${error.field === '' ? '<nil>' : error.field}: ${error.text}`))];
  const text = lines.length === 1 ? lines[0] : `[${lines.join(', ')}]`;
  const qualified = group === '' ? kind : `${kind}.${group}`;
  return new ApiError(422, 'Invalid', `${qualified} ${JSON.stringify(name)} is invalid: ${text}`, {
    name,
    ...(group === '' ? {} : { group }),
    kind,
    causes: errors.map((error) => ({ reason: error.type, message: error.text, field: error.field })),
  });
}

export function statusObject(error: ApiError): object {
  return {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message: error.message,
    reason: error.reason,
    ...(error.details === undefined ? {} : { details: error.details }),
    code: error.code,
  };
}
