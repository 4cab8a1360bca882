import { badRequest } from '../status.ts';

/** What a URL path addresses (Kubernetes API concepts, "Resource URIs"). */
export interface RequestInfo {
  /** Set for paths below /api/v1 and /apis/<group>/<version>. */
  readonly resource: string;
  readonly group: string;
  readonly version: string;
  readonly namespace: string;
  readonly name: string;
  readonly subresource: string;
  /** What follows the subresource, for `proxy`. */
  readonly rest: string;
}

/** Splits a path; undefined for a path that is not about a resource. */
export function parsePath(path: string): RequestInfo | undefined {
  const parts = path.split('/').slice(1);
  let group = '';
  let version = '';
  let tail: string[];
  if (parts[0] === 'api') {
    version = parts[1] ?? '';
    tail = parts.slice(2);
  } else if (parts[0] === 'apis') {
    group = parts[1] ?? '';
    version = parts[2] ?? '';
    tail = parts.slice(3);
  } else return undefined;
  if (tail.length === 0 || tail[0] === '' || version === '') return undefined;
  const decode = (text: string | undefined): string => {
    try {
      return decodeURIComponent(text ?? '');
    } catch {
      return text ?? '';
    }
  };
  let namespace = '';
  if (
    tail[0] === 'namespaces' &&
    tail.length >= 3 &&
    tail[2] !== '' &&
    tail[2] !== 'finalize' &&
    tail[2] !== 'status'
  ) {
    namespace = decode(tail[1]);
    tail = tail.slice(2);
  }
  return {
    group: decode(group),
    version: decode(version),
    namespace,
    resource: decode(tail[0]),
    name: decode(tail[1]),
    subresource: decode(tail[2]),
    rest: tail.slice(3).join('/'),
  };
}

/** The URL of a request line. Throws a 400 `ApiError` for what is none. */
export function urlOf(text: string | undefined): URL {
  try {
    return new URL(`http://localhost${text ?? '/'}`);
  } catch {
    throw badRequest('the path of the request is malformed');
  }
}
