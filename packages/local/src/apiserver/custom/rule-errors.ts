import type { ApiObject } from '../object.ts';
import type { Schema } from '../schema/schema.ts';
import type { FieldError } from '../status.ts';

export function ruleErrors(_object: ApiObject, _old: ApiObject | undefined, _schema: Schema): FieldError[] {
  return [];
}
