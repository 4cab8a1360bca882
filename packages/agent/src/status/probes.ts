import { connect } from 'node:net';
import type { ConnectionOptions } from 'node:tls';
import { http } from '../builtins.ts';
import { checkGrpcHealth } from '../http2/health-check.ts';
import type { Json } from '../json.ts';
import { asObject, field, textField } from '../json.ts';

/** A probe of the kubelet that injection moved to the agent, because the kubelet has no certificate of the mesh. */
export type AppProbe = (
  | {
      readonly kind: 'http';
      readonly scheme: 'http' | 'https';
      readonly path: string;
      readonly port: number;
      readonly host: string;
      readonly headers: readonly (readonly [string, string])[];
    }
  | { readonly kind: 'tcp'; readonly port: number }
  | { readonly kind: 'grpc'; readonly port: number; readonly service: string }
) & { readonly timeoutMs: number };

/** Thrown when `ISTIO_KUBE_APP_PROBERS` cannot be understood. */
export class ProbeConfigError extends Error {
  constructor(path: string, message: string) {
    super(`ISTIO_KUBE_APP_PROBERS: ${path === '' ? '' : `"${path}": `}${message}`);
    this.name = 'ProbeConfigError';
  }
}

const PATH_FORM = /^\/app-(?:health\/[^/]+\/(?:livez|readyz|startupz)|lifecycle\/[^/]+\/(?:prestopz|poststartz))$/;

/** By path of the agent (`/app-health/CONTAINER/readyz`). Raises {@link ProbeConfigError}. */
export function readAppProbes(text: string): ReadonlyMap<string, AppProbe> {
  const out = new Map<string, AppProbe>();
  if (text === '') return out;
  let parsed: Json;
  try {
    parsed = JSON.parse(text) as Json;
  } catch {
    throw new ProbeConfigError('', 'the value is not JSON');
  }
  for (const [path, entry] of Object.entries(asObject(parsed))) {
    if (!PATH_FORM.test(path))
      throw new ProbeConfigError(
        path,
        'expected /app-health/CONTAINER/livez, readyz or startupz, or /app-lifecycle/CONTAINER/prestopz or poststartz',
      );
    out.set(path, readProbe(path, asObject(entry)));
  }
  return out;
}

/** Reads a probe in Kubernetes' form. Raises {@link ProbeConfigError}. */
export function readProbe(path: string, probe: { readonly [key: string]: Json }): AppProbe {
  const seconds = field(probe, 'timeoutSeconds');
  const timeoutMs = (typeof seconds === 'number' && seconds > 0 ? seconds : 1) * 1000;
  const port = (target: { readonly [key: string]: Json }): number => {
    const value = Number(field(target, 'port'));
    if (!Number.isInteger(value) || value < 1 || value > 65535)
      throw new ProbeConfigError(path, 'the port is not a number; named ports are resolved by injection');
    return value;
  };
  const httpGet = field(probe, 'httpGet');
  if (httpGet !== undefined && httpGet !== null) {
    const get = asObject(httpGet);
    const headers = field(get, 'httpHeaders');
    return {
      kind: 'http',
      scheme: textField(get, 'scheme').toLowerCase() === 'https' ? 'https' : 'http',
      path: textField(get, 'path') || '/',
      port: port(get),
      host: textField(get, 'host'),
      headers: (Array.isArray(headers) ? headers : []).map(
        (header) => [textField(asObject(header), 'name'), textField(asObject(header), 'value')] as const,
      ),
      timeoutMs,
    };
  }
  const tcp = field(probe, 'tcpSocket');
  if (tcp !== undefined && tcp !== null) return { kind: 'tcp', port: port(asObject(tcp)), timeoutMs };
  const grpc = field(probe, 'grpc');
  if (grpc !== undefined && grpc !== null)
    return { kind: 'grpc', port: port(asObject(grpc)), service: textField(asObject(grpc), 'service'), timeoutMs };
  throw new ProbeConfigError(path, 'expected httpGet, tcpSocket or grpc');
}

/** What the kubelet is told: an HTTP status, and the reason when it is not 200. */
export interface ProbeResult {
  readonly status: number;
  readonly reason: string;
}

export interface ProbeTarget {
  /** The pod's own address. */
  readonly address: string;
  /** From this address connections are not captured (127.0.0.6); undefined leaves the choice to the kernel. */
  readonly localAddress: string | undefined;
}

/** Runs a probe against the application. */
export async function runProbe(
  probe: AppProbe,
  target: ProbeTarget,
  incoming: Readonly<Record<string, string | string[] | undefined>>,
): Promise<ProbeResult> {
  try {
    switch (probe.kind) {
      case 'http':
        return await probeHttp(probe, target, incoming);
      case 'tcp':
        return await probeTcp(probe, target);
      case 'grpc':
        return await probeGrpc(probe, target);
    }
  } catch (error) {
    return { status: 500, reason: error instanceof Error ? error.message : String(error) };
  }
}

function probeHttp(
  probe: AppProbe & { readonly kind: 'http' },
  target: ProbeTarget,
  incoming: Readonly<Record<string, string | string[] | undefined>>,
): Promise<ProbeResult> {
  return new Promise((resolve, reject) => {
    const headers: Record<string, string> = { connection: 'close' };
    for (const name of ['user-agent', 'accept']) {
      const value = incoming[name];
      if (typeof value === 'string') headers[name] = value;
    }
    for (const [name, value] of probe.headers) headers[name.toLowerCase()] = value;
    if (headers.host === undefined && probe.host !== '') headers.host = probe.host;
    const { address, localAddress } = target;
    const request = http.request(
      {
        host: address,
        port: probe.port,
        path: probe.path.startsWith('/') ? probe.path : `/${probe.path}`,
        localAddress,
        headers,
        // With an agent, even none, Node does not ask for a connection. The kubelet does not verify certificates of probes either.
        ...(probe.scheme === 'https'
          ? {
              createConnection: () =>
                process.getBuiltinModule('node:tls').connect({
                  host: address,
                  port: probe.port,
                  localAddress,
                  rejectUnauthorized: false,
                } as ConnectionOptions),
            }
          : { agent: false }),
      },
      (response) => {
        response.resume();
        resolve({ status: response.statusCode ?? 500, reason: '' });
      },
    );
    request.setTimeout(probe.timeoutMs, () => request.destroy(new Error(`no answer in ${probe.timeoutMs} ms`)));
    request.on('error', reject);
    request.end();
  });
}

function probeTcp(probe: AppProbe & { readonly kind: 'tcp' }, target: ProbeTarget): Promise<ProbeResult> {
  return new Promise((resolve, reject) => {
    const socket = connect({
      host: target.address,
      port: probe.port,
      localAddress: target.localAddress,
      timeout: probe.timeoutMs,
    });
    socket.on('connect', () => {
      socket.destroy();
      resolve({ status: 200, reason: '' });
    });
    socket.on('timeout', () => socket.destroy(new Error(`no connection in ${probe.timeoutMs} ms`)));
    socket.on('error', reject);
  });
}

async function probeGrpc(probe: AppProbe & { readonly kind: 'grpc' }, target: ProbeTarget): Promise<ProbeResult> {
  const status = await checkGrpcHealth({
    host: target.address,
    localAddress: target.localAddress,
    port: probe.port,
    service: probe.service,
    timeoutMs: probe.timeoutMs,
  });
  return status === 1 ? { status: 200, reason: '' } : { status: 500, reason: 'the service is not serving' };
}
