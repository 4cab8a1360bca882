import { InjectionError } from './errors.ts';
import { isObject } from './json.ts';

type Check = (value: string) => string | undefined;

const PORT = /^\d{1,5}$/;

function isPort(text: string): boolean {
  return PORT.test(text) && Number(text) <= 65535;
}

function words(value: string): readonly string[] {
  return value
    .split(',')
    .map((word) => word.trim())
    .filter((word) => word !== '');
}

function isRange(text: string): boolean {
  const [address = '', length] = text.split('/');
  const ipv4 = /^\d{1,3}(\.\d{1,3}){3}$/.test(address) && address.split('.').every((part) => Number(part) <= 255);
  const ipv6 = /^[0-9a-fA-F:]*:[0-9a-fA-F:.]*$/.test(address) && address.length >= 2;
  if (!ipv4 && !ipv6) return false;
  return length === undefined || (/^\d{1,3}$/.test(length) && Number(length) <= (ipv4 ? 32 : 128));
}

const oneOf =
  (...allowed: readonly string[]): Check =>
  (value) =>
    allowed.includes(value) ? undefined : `must be one of ${allowed.join(', ')}, not ${JSON.stringify(value)}`;
const all =
  (accepts: (word: string) => boolean, what: string, star = false): Check =>
  (value) => {
    if (star && value.trim() === '*') return undefined;
    const wrong = words(value).find((word) => !accepts(word));
    return wrong === undefined ? undefined : `${JSON.stringify(wrong)} is not ${what}`;
  };
const number: Check = (value) =>
  /^\d+$/.test(value) ? undefined : `must be a whole number, not ${JSON.stringify(value)}`;
const port: Check = (value) => (isPort(value) ? undefined : `${JSON.stringify(value)} is not a port`);
const quantity: Check = (value) =>
  /^\d+(\.\d+)?(m|[kKMGTPE]i?|[eE]\d+)?$/.test(value)
    ? undefined
    : `must be a quantity such as 100m or 128Mi, not ${JSON.stringify(value)}`;
const truth = oneOf('true', 'false');
const objects: Check = (value) => {
  try {
    if (value === '') return undefined;
    const parsed: unknown = JSON.parse(value);
    const named = (one: unknown) => isObject(one) && typeof one.name === 'string' && one.name !== '';
    if (Array.isArray(parsed) ? parsed.every(named) : isObject(parsed)) return undefined;
  } catch {
    // Said below.
  }
  return 'not JSON: must be an object with the name of each volume, such as {"data":{"emptyDir":{}}}, or a list of objects with names';
};

/** What the values of annotations must look like, where a wrong one would only show when the pod does not start. */
const CHECKS: Readonly<Record<string, Check>> = {
  'sidecar.istio.io/interceptionMode': oneOf('REDIRECT', 'TPROXY', 'NONE'),
  'sidecar.istio.io/rewriteAppHTTPProbers': truth,
  'sidecar.istio.io/nativeSidecar': truth,
  'prometheus.istio.io/merge-metrics': truth,
  'sidecar.istio.io/proxyCPU': quantity,
  'sidecar.istio.io/proxyCPULimit': quantity,
  'sidecar.istio.io/proxyMemory': quantity,
  'sidecar.istio.io/proxyMemoryLimit': quantity,
  'sidecar.istio.io/userVolume': objects,
  'sidecar.istio.io/userVolumeMount': objects,
  'status.sidecar.istio.io/port': port,
  'readiness.status.sidecar.istio.io/initialDelaySeconds': number,
  'readiness.status.sidecar.istio.io/periodSeconds': number,
  'readiness.status.sidecar.istio.io/failureThreshold': number,
  'readiness.status.sidecar.istio.io/applicationPorts': all(isPort, 'a port'),
  'traffic.sidecar.istio.io/includeOutboundIPRanges': all(isRange, 'a range of addresses', true),
  'traffic.sidecar.istio.io/excludeOutboundIPRanges': all(isRange, 'a range of addresses'),
  'traffic.sidecar.istio.io/includeInboundPorts': all(isPort, 'a port', true),
  'traffic.sidecar.istio.io/excludeInboundPorts': all(isPort, 'a port'),
  'traffic.sidecar.istio.io/includeOutboundPorts': all(isPort, 'a port'),
  'traffic.sidecar.istio.io/excludeOutboundPorts': all(isPort, 'a port'),
};

/** Looks at the annotations of a pod that a template puts into arguments and fields. Throws `InjectionError` with the annotation's name. */
export function checkAnnotations(annotations: Readonly<Record<string, string>>, pod: string): void {
  for (const [name, check] of Object.entries(CHECKS)) {
    const value = annotations[name];
    const problem = value === undefined ? undefined : check(value);
    if (problem !== undefined) throw new InjectionError(pod, `annotation ${name}`, problem);
  }
}
