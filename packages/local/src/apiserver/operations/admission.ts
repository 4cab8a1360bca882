import type { ApiObject } from '../object.ts';
import type { JsonObject } from '../json.ts';
import type { RequestContext, Target } from './context.ts';

export interface AdmissionRequest {
  readonly operation: 'CREATE' | 'UPDATE' | 'DELETE' | 'CONNECT';
  readonly target: Target;
  readonly object: ApiObject | undefined;
  readonly oldObject: ApiObject | undefined;
  /** The options object of the call (`CreateOptions`, ...). */
  readonly options: JsonObject;
  readonly context: RequestContext;
}

/** What stands between a decoded request and the store. Both throw `ApiError` to refuse. */
export interface Admission {
  /** Returns the object as it goes on; may be the same one, changed. */
  mutate(request: AdmissionRequest): Promise<ApiObject | undefined>;
  validate(request: AdmissionRequest): Promise<void>;
}
