import { BlockList, isIP } from 'node:net';

/** A setting of proxies that cannot be used; the message names the variable. */
export class ProxySettingError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'ProxySettingError';
  }
}

/** Through which proxy a URL is asked for; undefined where it is asked for directly. */
export type ChooseProxy = (url: URL) => URL | undefined;

/** What the conventional variables are called; each is also known in small letters. */
type ProxyVariable = 'HTTP_PROXY' | 'HTTPS_PROXY' | 'NO_PROXY';

const unbracketed = (host: string): string => host.replace(/^\[|\]$/g, '');

function proxyUrl(name: ProxyVariable, text: string): URL | undefined {
  if (text === '') return undefined;
  const full = /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `http://${text}`;
  if (!URL.canParse(full)) throw new ProxySettingError(`${name}: it is not a URL`);
  const url = new URL(full);
  if (url.protocol !== 'http:' && url.protocol !== 'https:')
    throw new ProxySettingError(`${name}: proxies speak http or https, not ${url.protocol.slice(0, -1)}`);
  return url;
}

type Exception = (host: string, port: string) => boolean;

/** One entry of NO_PROXY: `*`, an address, a range, a domain with what is below it, `.domain` without the domain itself; domains and addresses may have a port. */
function exception(entry: string): Exception {
  if (entry === '*') return () => true;
  const [range = '', bits] = entry.split('/');
  const family = isIP(range);
  if (bits !== undefined) {
    if (family === 0 || !/^\d{1,3}$/.test(bits) || Number(bits) > (family === 4 ? 32 : 128)) return () => false;
    const list = new BlockList();
    list.addSubnet(range, Number(bits), family === 4 ? 'ipv4' : 'ipv6');
    return (host) => isIP(host) !== 0 && list.check(host, isIP(host) === 4 ? 'ipv4' : 'ipv6');
  }
  if (family !== 0) return (host) => host === range;
  const [, name = entry, port] = /^(.*):(\d+)$/.exec(entry) ?? [];
  const atPort = (given: string): boolean => port === undefined || port === given;
  const plain = unbracketed(name);
  if (isIP(plain) !== 0) return (host, given) => host === plain && atPort(given);
  const below = plain.startsWith('*.') ? plain.slice(1) : plain.startsWith('.') ? plain : `.${plain}`;
  const itself = below === `.${plain}`;
  return (host, given) => atPort(given) && (host.endsWith(below) || (itself && host === plain));
}

const isLoopback = (host: string): boolean =>
  host === 'localhost' || (isIP(host) === 4 && host.startsWith('127.')) || host === '::1';

/**
 * Reads HTTP_PROXY, HTTPS_PROXY and NO_PROXY as programs in Go do, so that an environment made for Istio means the same (golang.org/x/net/http/httpproxy):
 * loopback is never asked through a proxy. Raises {@link ProxySettingError}.
 */
export function proxiesOf(environment: Readonly<Record<string, string | undefined>>): ChooseProxy {
  const text = (name: ProxyVariable): string => (environment[name] || environment[name.toLowerCase()] || '').trim();
  const plain = proxyUrl('HTTP_PROXY', text('HTTP_PROXY'));
  const secure = proxyUrl('HTTPS_PROXY', text('HTTPS_PROXY'));
  const exceptions = text('NO_PROXY')
    .split(',')
    .map((entry) => entry.trim().toLowerCase())
    .filter((entry) => entry !== '')
    .map(exception);
  return (url) => {
    const proxy = url.protocol === 'https:' ? secure : plain;
    if (proxy === undefined) return undefined;
    const host = unbracketed(url.hostname).toLowerCase().replace(/\.$/, '');
    const port = url.port || (url.protocol === 'https:' ? '443' : '80');
    return isLoopback(host) || exceptions.some((matches) => matches(host, port)) ? undefined : proxy;
  };
}
