import { parseDuration } from '@istio-ts/api/duration';
import { isIP } from 'node:net';

/** Says what is wrong with the value of an annotation, or undefined. */
type Check = (value: string) => string | undefined;

const boolean: Check = (value) =>
  ['true', 'false'].includes(value.toLowerCase()) ? undefined : `write "true" or "false", not ${JSON.stringify(value)}`;

const oneOf =
  (...words: readonly string[]): Check =>
  (value) =>
    words.includes(value) ? undefined : `use one of ${words.join(', ')}`;

const wholeNumber =
  (least: number, most = Number.MAX_SAFE_INTEGER): Check =>
  (value) => {
    const number = Number(value);
    return /^\d+$/.test(value) && number >= least && number <= most
      ? undefined
      : `${JSON.stringify(value)} is no whole number from ${least}${most === Number.MAX_SAFE_INTEGER ? '' : ` to ${most}`}`;
  };

const items = (value: string): readonly string[] => value.split(',').map((item) => item.trim());

/** Ports separated by commas; `*` stands for all where that has a meaning. */
const ports =
  (star: boolean): Check =>
  (value) => {
    if (value === '' || (star && value === '*')) return undefined;
    const wrong = items(value).find((item) => wholeNumber(1, 65535)(item) !== undefined);
    return wrong === undefined ? undefined : `${JSON.stringify(wrong)} is no port`;
  };

const ranges =
  (star: boolean): Check =>
  (value) => {
    if (value === '' || (star && value === '*')) return undefined;
    const wrong = items(value).find((item) => !isRange(item));
    return wrong === undefined ? undefined : `${JSON.stringify(wrong)} is no address range like 10.0.0.0/8`;
  };

function isRange(text: string): boolean {
  const [address = '', bits, ...more] = text.split('/');
  const family = isIP(address);
  if (family === 0 || more.length > 0) return false;
  return bits === undefined || (/^\d+$/.test(bits) && Number(bits) <= (family === 4 ? 32 : 128));
}

const quantity: Check = (value) =>
  /^\d+(\.\d+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?$/.test(value)
    ? undefined
    : `${JSON.stringify(value)} is no quantity like 100m or 128Mi`;

const json: Check = (value) => {
  try {
    JSON.parse(value);
    return undefined;
  } catch (error) {
    return `no valid JSON: ${(error as Error).message}`;
  }
};

const duration: Check = (value) => {
  try {
    parseDuration(value);
    return undefined;
  } catch {
    return `${JSON.stringify(value)} is no duration like 10s or 1m30s`;
  }
};

const logLevel = oneOf('trace', 'debug', 'info', 'warning', 'error', 'critical', 'off');

/** The annotations whose values have a form (istio.io, "Resource Annotations"). */
export const annotationValues: Readonly<Record<string, Check>> = {
  'galley.istio.io/analyze-suppress': (value) =>
    items(value).every((item) => /^(\*|IST\d{4})$/.test(item))
      ? undefined
      : 'write codes like IST0107, separated by commas, or *',
  'networking.istio.io/exportTo': (value) =>
    items(value).every((item) => /^[.*~]$|^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/.test(item))
      ? undefined
      : 'write namespaces, ".", "*" or "~", separated by commas',
  'networking.istio.io/traffic-distribution': oneOf(
    'PreferClose',
    'PreferSameZone',
    'PreferSameNode',
    'PreferSameNetwork',
    'Any',
  ),
  'istio.io/dry-run': boolean,
  'prometheus.istio.io/merge-metrics': boolean,
  'proxy.istio.io/overrides': json,
  'readiness.status.sidecar.istio.io/applicationPorts': ports(false),
  'readiness.status.sidecar.istio.io/failureThreshold': wholeNumber(1),
  'readiness.status.sidecar.istio.io/initialDelaySeconds': wholeNumber(0),
  'readiness.status.sidecar.istio.io/periodSeconds': wholeNumber(1),
  'sidecar.istio.io/inject': boolean,
  'sidecar.istio.io/interceptionMode': oneOf('REDIRECT', 'TPROXY', 'NONE'),
  'sidecar.istio.io/logLevel': logLevel,
  'sidecar.istio.io/nativeSidecar': boolean,
  'sidecar.istio.io/proxyCPU': quantity,
  'sidecar.istio.io/proxyCPULimit': quantity,
  'sidecar.istio.io/proxyMemory': quantity,
  'sidecar.istio.io/proxyMemoryLimit': quantity,
  'sidecar.istio.io/rewriteAppHTTPProbers': boolean,
  'sidecar.istio.io/statsFlushInterval': duration,
  'sidecar.istio.io/statsEvictionInterval': duration,
  'sidecar.istio.io/userVolume': json,
  'sidecar.istio.io/userVolumeMount': json,
  'status.sidecar.istio.io/port': wholeNumber(0, 65535),
  'traffic.sidecar.istio.io/excludeInboundPorts': ports(false),
  'traffic.sidecar.istio.io/excludeOutboundIPRanges': ranges(false),
  'traffic.sidecar.istio.io/excludeOutboundPorts': ports(false),
  'traffic.sidecar.istio.io/includeInboundPorts': ports(true),
  'traffic.sidecar.istio.io/includeOutboundIPRanges': ranges(true),
  'traffic.sidecar.istio.io/includeOutboundPorts': ports(true),
};
