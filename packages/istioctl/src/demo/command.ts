import { DemoError } from './start.ts';

/** What `npm start` and `npm stop` ask the demo for. */
export type DemoCommand =
  | { readonly action: 'help' }
  | { readonly action: 'start'; readonly addons: boolean }
  /** `words` are flags of `istioctl local down`. */
  | { readonly action: 'stop'; readonly words: readonly string[] };

export const DEMO_HELP = `Brings up the local cluster with Istio and Online Boutique in it, or ends it.

Usage:
  demo.mjs start [--addons]      (npm start -- [--addons])
  demo.mjs stop [--wipe]         (npm stop -- [--wipe])

start    brings up what is not there yet; --addons also Prometheus, Grafana, Jaeger, Kiali and Loki
stop     ends the cluster and keeps its state; --wipe forgets the state too, other flags are those of "istioctl local down"
`;

const asksForHelp = (word: string): boolean => word === '--help' || word === '-h';

/** Reads the words behind `demo.mjs`. Only `start` starts anything: no words, `help` and `--help` ask for the help text. Raises DemoError. */
export function readDemoCommand([command = 'help', ...words]: readonly string[]): DemoCommand {
  if (command === 'help' || asksForHelp(command) || words.some(asksForHelp)) return { action: 'help' };
  switch (command) {
    case 'start': {
      const unknown = words.find((word) => word !== '--addons');
      if (unknown !== undefined)
        throw new DemoError(`npm start does not know ${unknown}: there is npm start -- --addons`);
      return { action: 'start', addons: words.length > 0 };
    }
    case 'stop':
      return { action: 'stop', words };
    default:
      throw new DemoError(`the demo does not know ${command}: there are start, stop and --help`);
  }
}
