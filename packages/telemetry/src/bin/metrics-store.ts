import { VERSION } from '@istio-ts/api/version';
import { runProgram } from '@istio-ts/command-line/program';
import { createKubeClient, type KubeConfig, loadKubeConfig } from '@istio-ts/kube';
import { runStore } from '../metrics/run-store.ts';
import { readSettings, storeFlags } from '../metrics/settings.ts';

const output = {
  out: (text: string) => void process.stdout.write(text),
  err: (text: string) => void process.stderr.write(text),
};
const log = (line: string): void => output.err(`${new Date().toISOString()} ${line}\n`);

/** The cluster to find targets in; undefined where none is told. */
function clusterOf(kubeconfig: string | undefined): KubeConfig | undefined {
  if (kubeconfig === undefined && process.env.KUBERNETES_SERVICE_HOST === undefined) return undefined;
  return loadKubeConfig({
    env: process.env,
    preferInCluster: kubeconfig === undefined,
    ...(kubeconfig !== undefined && { kubeconfig }),
  });
}

const program = {
  name: 'metrics-store',
  description: 'Scrapes metrics as a configuration of Prometheus says, keeps them in memory and answers PromQL.',
  commonFlags: [],
  commands: {
    server: {
      usage: 'metrics-store server [flags]',
      description: 'Scrapes and answers until it is ended. SIGHUP reads the configuration anew.',
      flags: async () => storeFlags,
      run: async (args: Parameters<typeof readSettings>[0]) => {
        const settings = readSettings(args);
        const config = clusterOf(settings.kubeconfig);
        const client =
          config && createKubeClient(config, { userAgent: 'istio-metrics-store', dropManagedFields: true });
        const ended = Promise.withResolvers<number>();
        const stop = (): void => ended.resolve(0);
        process.on('SIGTERM', stop);
        process.on('SIGINT', stop);
        const running = await runStore({
          settings,
          client,
          ownNamespace: config?.namespace ?? 'default',
          version: VERSION,
          now: Date.now,
          log,
        });
        process.on('SIGHUP', () => {
          try {
            running.reload();
          } catch (error) {
            log(`the configuration stays as it was: ${(error as Error).message}`);
          }
        });
        log(`metrics-store ${VERSION} listens on ${settings.host}:${running.port}`);
        const code = await ended.promise;
        await running.close();
        client?.close();
        return code;
      },
    },
  },
};

// Flags alone mean: serve. That is how images are started.
const words = process.argv.slice(2);
const [first] = words;
const asked = first === undefined || (first.startsWith('--') && first !== '--help') ? ['server', ...words] : words;
runProgram(program, asked, output).then(
  (code) => {
    process.exitCode = code;
  },
  (error: Error) => {
    output.err(`${error.stack ?? error.message}\n`);
    process.exitCode = 1;
  },
);
