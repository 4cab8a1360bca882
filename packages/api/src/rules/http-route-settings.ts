import type { Destination, StringMatch } from '../networking/common.ts';
import type {
  CorsPolicy,
  HeaderOperations,
  HTTPFaultInjection,
  HTTPRetry,
  HTTPRoute,
} from '../networking/virtual-service.ts';
import { fieldPath, itemPath, type ProblemList, quote } from '../problems.ts';
import { GRPC_STATUS_NAMES, RETRY_CONDITIONS } from '../status-names.ts';
import { checkFqdn, checkPositive, isDnsLabel, isHeaderName } from './checks.ts';

// What an HTTP rule does besides routing (istio.io, reference of Virtual Service).

export function checkStringMatch(match: StringMatch, path: string, problems: ProblemList): void {
  if (match.exact === undefined && match.prefix === undefined && match.regex === undefined) {
    problems.error(path, 'needs one of exact, prefix, regex');
  } else if (match.regex === '') problems.error(`${path}.regex`, 'must not be empty');
}

export function checkDestination(destination: Destination, path: string, problems: ProblemList): void {
  checkFqdn(destination.host, `${path}.host`, problems);
  if (destination.subset !== undefined && destination.subset !== '' && !isDnsLabel(destination.subset)) {
    problems.error(`${path}.subset`, `${quote(destination.subset)} is not a subset name; use letters, digits and "-"`);
  }
  if (destination.port && destination.port.number === undefined) problems.error(`${path}.port.number`, 'is required');
}

export function checkRetries(retries: HTTPRetry, path: string, problems: ProblemList): void {
  const others = retries.perTryTimeout ?? retries.retryOn ?? retries.retryRemoteLocalities ?? retries.backoff;
  if (!retries.attempts && others !== undefined && others !== '') {
    problems.error(path, 'has settings, but attempts is 0 and so retries are off; set attempts');
  }
  checkPositive(retries.perTryTimeout, `${path}.perTryTimeout`, problems);
  checkPositive(retries.backoff, `${path}.backoff`, problems);
  if (!retries.retryOn) return;
  for (const part of retries.retryOn.split(',')) {
    const condition = part.trim();
    if (/^[1-5][0-9][0-9]$/.test(condition) || RETRY_CONDITIONS.has(condition)) continue;
    problems.error(
      `${path}.retryOn`,
      `${quote(condition)} is not a retry condition; use Envoy's names or status codes`,
    );
  }
}

export function checkFault(fault: HTTPFaultInjection, path: string, problems: ProblemList): void {
  const { delay, abort } = fault;
  if (!delay && !abort) problems.error(path, 'needs delay or abort');
  if (delay) {
    if (delay.exponentialDelay !== undefined) {
      problems.error(`${path}.delay.exponentialDelay`, 'is not supported; use fixedDelay');
    } else if (delay.fixedDelay === undefined) problems.error(`${path}.delay.fixedDelay`, 'is required');
    checkPositive(delay.fixedDelay, `${path}.delay.fixedDelay`, problems);
    if (delay.percent !== undefined) {
      problems.warning(`${path}.delay.percent`, 'is deprecated; use percentage.value', 'deprecated');
      if (delay.percent < 0 || delay.percent > 100) {
        problems.error(`${path}.delay.percent`, `must be between 0 and 100, not ${delay.percent}`);
      }
    }
  }
  if (abort) {
    const { httpStatus, grpcStatus } = abort;
    if (abort.http2Error !== undefined) problems.error(`${path}.abort.http2Error`, 'is not supported; use httpStatus');
    else if (httpStatus === undefined && grpcStatus === undefined) {
      problems.error(`${path}.abort`, 'needs httpStatus or grpcStatus');
    }
    if (httpStatus !== undefined && (httpStatus < 200 || httpStatus > 599)) {
      problems.error(`${path}.abort.httpStatus`, `must be between 200 and 599, not ${httpStatus}`);
    }
    if (grpcStatus !== undefined && !(GRPC_STATUS_NAMES as readonly string[]).includes(grpcStatus)) {
      problems.error(
        `${path}.abort.grpcStatus`,
        `${quote(grpcStatus)} is not a gRPC status; write for example UNAVAILABLE`,
      );
    }
  }
}

export function checkMirrors(route: HTTPRoute, path: string, problems: ProblemList): void {
  if (route.mirror) {
    if (route.mirrors?.length) problems.error(path, 'only one of mirror, mirrors may be set');
    checkDestination(route.mirror, `${path}.mirror`, problems);
  }
  route.mirrors?.forEach((mirror, index) => {
    checkDestination(mirror.destination, `${itemPath(`${path}.mirrors`, index)}.destination`, problems);
  });
  if (route.mirrorPercent !== undefined) {
    problems.warning(`${path}.mirrorPercent`, 'is deprecated; use mirrorPercentage.value', 'deprecated');
    if (route.mirrorPercent > 100)
      problems.error(`${path}.mirrorPercent`, `must be at most 100, not ${route.mirrorPercent}`);
  }
}

export function checkCors(cors: CorsPolicy, path: string, problems: ProblemList): void {
  if (cors.allowOrigin?.length)
    problems.warning(`${path}.allowOrigin`, 'is deprecated; use allowOrigins', 'deprecated');
  cors.allowOrigins?.forEach((origin, index) => {
    checkStringMatch(origin, itemPath(`${path}.allowOrigins`, index), problems);
  });
  cors.allowMethods?.forEach((method, index) => {
    if (!/^([A-Z][-A-Z]*|\*)$/.test(method)) {
      problems.error(
        itemPath(`${path}.allowMethods`, index),
        `${quote(method)} is not an HTTP method; write it in capitals`,
      );
    }
  });
  for (const field of ['allowHeaders', 'exposeHeaders'] as const) {
    cors[field]?.forEach((name, index) => {
      if (name !== '*' && !isHeaderName(name)) {
        problems.error(itemPath(`${path}.${field}`, index), `${quote(name)} is not a header name`);
      }
    });
  }
  checkPositive(cors.maxAge, `${path}.maxAge`, problems);
}

export function checkHeaders(
  headers: { readonly request?: HeaderOperations; readonly response?: HeaderOperations } | undefined,
  path: string,
  problems: ProblemList,
): void {
  for (const side of ['request', 'response'] as const) {
    const operations = headers?.[side];
    if (!operations) continue;
    const check = (name: string, at: string, authority: boolean): void => {
      const lower = name.toLowerCase();
      const isAuthority = lower === ':authority' || lower === 'host';
      if ((name.startsWith(':') || lower === 'host') && !(authority && isAuthority)) {
        problems.error(at, `${quote(name)} cannot be changed; use rewrite`);
      } else if (!isHeaderName(name.replace(/^:/, ''))) problems.error(at, `${quote(name)} is not a header name`);
    };
    for (const [name, value] of Object.entries(operations.set ?? {})) {
      const at = fieldPath(`${path}.${side}.set`, name);
      check(name, at, side === 'request');
      checkHeaderValue(value, at, problems);
    }
    for (const [name, value] of Object.entries(operations.add ?? {})) {
      const at = fieldPath(`${path}.${side}.add`, name);
      check(name, at, false);
      checkHeaderValue(value, at, problems);
    }
    operations.remove?.forEach((name, index) => {
      check(name, itemPath(`${path}.${side}.remove`, index), false);
    });
  }
}

/** Envoy reads %NAME% and %NAME(ARGUMENTS)% as commands; a lone % is an error there. */
function checkHeaderValue(value: string, path: string, problems: ProblemList): void {
  const rest = value.replaceAll('%%', '').replace(/%[A-Z0-9_]+(\([^)]*\))?(:[0-9]+)?%/g, '');
  if (rest.includes('%'))
    problems.error(path, `${quote(value)}: write %% for a percent sign, or %NAME% for a value of Envoy`);
  if (/[\r\n\0]/.test(value)) problems.error(path, 'must not have line ends');
}
