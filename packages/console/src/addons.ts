import type { AddonState } from './api.ts';
import { Cached } from './sources/cached.ts';
import { ask, SourceError } from './sources/http-get.ts';

export interface AddonAddresses {
  readonly prometheusUrl: string;
  readonly tracingUrl: string;
  readonly grafanaUrl: string;
  readonly lokiUrl: string;
}

type Name = AddonState['name'];

/** Where each program says that it is there, and where people get it. */
const programs: Readonly<Record<Name, { readonly path: string; readonly manifest: string }>> = {
  prometheus: { path: '/api/v1/status/buildinfo', manifest: 'samples/addons/prometheus.yaml' },
  tracing: { path: '/api/services', manifest: 'samples/addons/jaeger.yaml' },
  grafana: { path: '/api/health', manifest: 'samples/addons/grafana.yaml' },
  loki: { path: '/ready', manifest: 'samples/addons/loki.yaml' },
};

/** What this project's own programs call themselves in what they answer. */
const ownName = /istio-ts|istio-console/i;

/** Asks who answers at an address, for at most two seconds. Never rejects. */
async function stateOf(name: Name, address: string): Promise<AddonState> {
  const { path, manifest } = programs[name];
  try {
    const [answer, front] = await Promise.all([
      ask(address + path, { timeoutMs: 2_000, limit: 1 << 20 }),
      // Our own programs say on their first page what they are.
      ask(`${new URL(address).origin}/`, { timeoutMs: 2_000, limit: 1 << 20 }).catch(() => undefined),
    ]);
    const builtIn = [answer, front].some((each) => each && (ownName.test(each.server) || ownName.test(each.body)));
    if (builtIn)
      return {
        name,
        state: 'built-in',
        address,
        message: `This is what istio-ts puts in its place; kubectl apply -f ${manifest} on a cluster with containers brings the real program`,
      };
    // Who asks for a password is there.
    if (answer.status >= 400 && answer.status !== 401 && answer.status !== 403)
      return {
        name,
        state: 'absent',
        address,
        message: `${path} answers with status ${answer.status}: it may be starting`,
      };
    return { name, state: 'real', address };
  } catch (error) {
    if (!(error instanceof SourceError)) throw error;
    return {
      name,
      state: 'absent',
      address,
      message: `${error.message}. Install it with kubectl apply -f ${manifest}`,
    };
  }
}

/** Which of the programs beside the console are there. Remembered for half a minute. */
export function createAddons(addresses: AddonAddresses, now: () => number): () => Promise<readonly AddonState[]> {
  const states = new Cached<readonly AddonState[]>(30_000, now);
  return () =>
    states.get('', () =>
      Promise.all([
        stateOf('prometheus', addresses.prometheusUrl),
        stateOf('tracing', addresses.tracingUrl),
        stateOf('grafana', addresses.grafanaUrl),
        stateOf('loki', addresses.lokiUrl),
      ]),
    );
}
