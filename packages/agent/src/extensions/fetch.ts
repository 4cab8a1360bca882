import { lookup } from 'node:dns';
import { type IncomingMessage, request as httpRequest, type RequestOptions } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { BlockList, isIP, type LookupFunction } from 'node:net';
import { ModuleError } from './module-bytes.ts';

const TIMEOUT_MS = 30_000;
const MAX_REDIRECTS = 5;

/**
 * Addresses that only mean something to the proxy's own machine: itself, its link, and what clouds serve there (credentials of the machine among it). Who
 * may write a WasmPlugin must not get at them through the agents of others.
 */
const own = new BlockList();
own.addSubnet('0.0.0.0', 8);
own.addSubnet('127.0.0.0', 8);
own.addSubnet('169.254.0.0', 16);
// Metadata services outside of the link: Alibaba Cloud, AWS by IPv6, Oracle Cloud.
own.addAddress('100.100.100.200');
own.addAddress('192.0.0.192');
own.addAddress('fd00:ec2::254', 'ipv6');
own.addAddress('::', 'ipv6');
own.addAddress('::1', 'ipv6');
own.addSubnet('fe80::', 10, 'ipv6');

/** Whether an IP address is one that nothing is fetched from. */
export function isForbidden(address: string): boolean {
  const plain = address.replace(/^\[|\]$/g, '').replace(/%.*$/, '');
  const family = isIP(plain);
  // Addresses of IPv4 written as IPv6 are looked up as such by BlockList too.
  return family !== 0 && own.check(plain, family === 4 ? 'ipv4' : 'ipv6');
}

/** What was asked for, after redirects. */
export interface Fetched {
  readonly status: number;
  readonly url: string;
  header(name: string): string;
  /** Raises ModuleError for more than `limit` bytes. */
  body(limit: number): Promise<Buffer>;
  discard(): void;
}

/** Hosts (`HOST[:PORT]`) that may be anywhere, because the operator has named them. */
export type Trusts = (host: string) => boolean;

const refusal = (host: string, address: string): ModuleError =>
  new ModuleError(
    `${host} is at ${address}, an address of the proxy's own machine or link, and nothing is fetched from there (unless WASM_INSECURE_REGISTRIES names the host)`,
  );

/** Looks up names as usual, and refuses those that lead to forbidden addresses at the very moment of connecting. */
const guarded: LookupFunction = (host, options, done) =>
  lookup(host, options, (error, found, family) => {
    const addresses = (Array.isArray(found) ? found : [{ address: found }]).map(({ address }) => address);
    const bad = error ? undefined : addresses.find((address) => isForbidden(address));
    if (bad === undefined) done(error, found, family);
    else done(refusal(host, bad), '', 0);
  });

function open(url: URL, headers: Readonly<Record<string, string>>, trusts: Trusts): Promise<IncomingMessage> {
  const trusted = trusts(url.host);
  if (!trusted && isForbidden(url.hostname)) return Promise.reject(refusal(url.host, url.hostname));
  const options: RequestOptions = {
    headers,
    signal: AbortSignal.timeout(TIMEOUT_MS),
    ...(!trusted && { lookup: guarded }),
  };
  return new Promise((resolve, reject) => {
    const outgoing =
      url.protocol === 'https:' ? httpsRequest(url, options, resolve) : httpRequest(url, options, resolve);
    outgoing.on('error', (error) =>
      reject(error instanceof ModuleError ? error : new ModuleError(`${url.href} cannot be reached: ${error.message}`)),
    );
    outgoing.end();
  });
}

/** Fetches by HTTP or HTTPS and follows redirects. Raises ModuleError where there is no answer, or where it must not be asked for. */
export async function fetchFrom(
  start: string,
  headers: Readonly<Record<string, string>>,
  trusts: Trusts,
): Promise<Fetched> {
  let url = new URL(start);
  let sent = headers;
  for (let redirects = 0; ; redirects++) {
    if (url.protocol !== 'https:' && url.protocol !== 'http:')
      throw new ModuleError(`${url.href} is fetched neither by https nor by http`);
    const response = await open(url, sent, trusts);
    const status = response.statusCode ?? 0;
    const { location } = response.headers;
    if (![301, 302, 303, 307, 308].includes(status) || location === undefined) return fetched(response, status, url);
    response.resume();
    if (redirects === MAX_REDIRECTS)
      throw new ModuleError(`${start} leads through more than ${MAX_REDIRECTS} redirects`);
    const next = new URL(location, url);
    if (url.protocol === 'https:' && next.protocol !== 'https:')
      throw new ModuleError(`${url.href} leads from https to ${next.href}`);
    // Credentials are for the host that asked for them.
    if (next.host !== url.host)
      sent = Object.fromEntries(Object.entries(sent).filter(([name]) => name !== 'authorization'));
    url = next;
  }
}

function fetched(response: IncomingMessage, status: number, url: URL): Fetched {
  return {
    status,
    url: url.href,
    header: (name) => String(response.headers[name] ?? ''),
    discard: () => void response.resume(),
    body: async (limit) => {
      const parts: Buffer[] = [];
      let size = 0;
      try {
        for await (const part of response as AsyncIterable<Buffer>) {
          size += part.length;
          if (size > limit) throw new ModuleError(`more than ${limit} bytes come from ${url.href}`);
          parts.push(part);
        }
      } catch (error) {
        if (error instanceof ModuleError) throw error;
        throw new ModuleError(`${url.href} breaks off: ${error instanceof Error ? error.message : error}`);
      }
      return Buffer.concat(parts);
    },
  };
}
