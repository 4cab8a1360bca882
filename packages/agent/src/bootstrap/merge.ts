import { decodeUnchecked, encodeUnchecked } from '@istio-ts/envoy';

const BOOTSTRAP = 'envoy.config.bootstrap.v3.Bootstrap';

/**
 * Merges an encoded Bootstrap (base64) into one that is given as an object: in protobuf's encoding messages are merged by writing one after the other.
 * Raises EncodeError and DecodeError.
 */
export function mergeBootstrap(bootstrap: object, additions: string): object {
  const bytes = Buffer.concat([encodeUnchecked(BOOTSTRAP, bootstrap), Buffer.from(additions, 'base64')]);
  return decodeUnchecked(BOOTSTRAP, bytes) as object;
}
