import { forbiddenAddresses } from '@istio-ts/security/fetch/addresses';
import { type Fetched, FetchError, type FetchPolicy, fetchFrom } from '@istio-ts/security/fetch/fetch';
import { proxiesOf } from '@istio-ts/security/fetch/proxies';
import { ModuleError } from './module-bytes.ts';

const TIMEOUT_MS = 30_000;

/** Hosts (`HOST[:PORT]`) that may be anywhere, because the operator has named them. */
export type Trusts = (host: string) => boolean;

/** Asks for something by its URL, with headers. Raises ModuleError where there is no answer, or where it must not be asked for. */
export type Ask = (url: string, headers: Readonly<Record<string, string>>) => Promise<Fetched>;

/**
 * How the agent asks for modules: never at addresses of its own machine or link, which would give who may write a WasmPlugin what the machine's cloud
 * tells only its own programs, unless the operator has named the host; through the operator's proxies where the environment names some.
 */
export function askForModules(trusts: Trusts, environment: Readonly<Record<string, string | undefined>>): Ask {
  const policy: FetchPolicy = {
    forbids: forbiddenAddresses('', ''),
    remedy: 'WASM_INSECURE_REGISTRIES may name the host',
    exempts: trusts,
    proxies: proxiesOf(environment),
  };
  const refused = (error: unknown): never => {
    throw error instanceof FetchError ? new ModuleError(error.message) : error;
  };
  return async (url, headers) => {
    const one = await fetchFrom(url, { headers, timeoutMs: TIMEOUT_MS }, policy).catch(refused);
    return { ...one, body: (limit) => one.body(limit).catch(refused) };
  };
}
