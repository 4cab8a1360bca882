import type { JsonObject } from '../json.ts';
import { type FieldError, fieldError } from '../status.ts';

/** A field that has one of a few words, or is not there. */
export function oneOf(object: JsonObject, field: string, path: string, supported: readonly string[]): FieldError[] {
  const value = object[field];
  if (value === undefined || (typeof value === 'string' && supported.includes(value))) return [];
  return [fieldError.notSupported(`${path}.${field}`, value, supported)];
}

/** The number of a port. */
export function portNumber(value: unknown, path: string): FieldError[] {
  if (typeof value === 'number' && value >= 1 && value <= 65_535) return [];
  return [fieldError.invalid(path, value ?? 0, 'must be between 1 and 65535, inclusive')];
}

/** What the names of ports look like (Kubernetes, IANA_SVC_NAME). */
export const PORT_NAME = /^(?=.{1,15}$)(?=.*[a-z])[a-z0-9]+(-[a-z0-9]+)*$/;

/** The number or the name of a port. */
export function portReference(value: unknown, path: string): FieldError[] {
  if (typeof value === 'number') return portNumber(value, path);
  if (typeof value === 'string' && PORT_NAME.test(value)) return [];
  if (value === undefined) return [fieldError.required(path)];
  return [
    fieldError.invalid(
      path,
      value,
      'must be a port number or the name of a port (at most 15 characters, lower case letters, digits and -)',
    ),
  ];
}
