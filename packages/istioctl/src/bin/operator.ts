import { VERSION } from '@istio-ts/api/version';
import { createKubeClient, loadKubeConfig } from '@istio-ts/kube';
import { chartsDir } from '../cli/spec-flags.ts';
import { type RunningOperator, startOperator } from '../operator/server.ts';
import { OperatorSettingsError, parseOperatorSettings } from '../operator/settings.ts';

const usage = `operator: installs and changes the mesh of a cluster as its IstioOperator objects say

Usage:
  operator server [flags]     run the operator
  operator version            print the version

Flags of server:
  --monitoring-host=0.0.0.0, --monitoring-port=8383   where /metrics, /healthz and /readyz are served
  --log_output_level=default:info, --log_as_json      how much to log, and how
  --kubeconfig=FILE                                   outside of a cluster

Variables: WATCH_NAMESPACE (namespaces, separated by commas; empty: all), REVISION, LEADER_ELECTION_NAMESPACE, POD_NAME, OPERATOR_NAME,
WAIT_FOR_RESOURCES_TIMEOUT
`;

const [command, ...flags] = process.argv.slice(2);
switch (command) {
  case 'server':
    if (flags.includes('--help') || flags.includes('-h')) process.stdout.write(usage);
    else await serve();
    break;
  case 'version':
    console.log(VERSION);
    break;
  default: {
    const help = command === undefined || command === 'help' || command === '--help' || command === '-h';
    (help ? process.stdout : process.stderr).write(help ? usage : `unknown command '${command}'\n\n${usage}`);
    process.exitCode = help ? 0 : 1;
  }
}

async function serve(): Promise<void> {
  let running: RunningOperator | undefined;
  let stopping = false;
  // From the beginning: as the first process of a container it would not be ended by a signal that it does not handle. A second one is in a hurry.
  const stop = (code: number) => {
    if (!running || stopping) process.exit(code);
    stopping = true;
    running.close().then(
      () => process.exit(code),
      (error: Error) => {
        process.stderr.write(`${error.stack ?? error.message}\n`);
        process.exit(1);
      },
    );
  };
  process.on('SIGTERM', () => stop(0));
  process.on('SIGINT', () => stop(0));
  try {
    const settings = parseOperatorSettings(flags, process.env);
    const config = loadKubeConfig({
      env: process.env,
      ...(settings.kubeconfig !== undefined && { kubeconfig: settings.kubeconfig }),
    });
    running = await startOperator(settings, {
      client: createKubeClient(config, { userAgent: 'istio-operator', env: process.env }),
      chartsDir: chartsDir(undefined),
      write: (line) => process.stdout.write(line),
    });
    // Who is no longer the leader must not go on: Kubernetes starts the process again.
    running.lost.then(
      () => {
        if (!stopping) stop(1);
      },
      (error: Error) => {
        process.stderr.write(`${error.stack ?? error.message}\n`);
        stop(1);
      },
    );
  } catch (error) {
    process.stderr.write(
      `${error instanceof OperatorSettingsError ? error.message : ((error as Error).stack ?? error)}\n`,
    );
    process.exit(1);
  }
}
