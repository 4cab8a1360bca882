import { VERSION } from '@istio-ts/api/version';
import { type Discovery, startDiscovery } from '../process/discovery.ts';
import { parseSettings, SettingsError } from '../settings.ts';

const usage = `pilot-discovery: the control plane of the mesh

Usage:
  pilot-discovery discovery [flags]     run istiod
  pilot-discovery version [-s]          print the version
  pilot-discovery request GET PATH      ask the debug server of this pod

Flags of discovery (the most used):
  --grpcAddr, --secureGRPCAddr, --httpAddr, --httpsAddr, --monitoringAddr   addresses to listen on
  --log_output_level=default:info,ads:debug                                 how much to log
  --domain, --clusterID, --namespace, --kubeconfig
`;

const [command, ...words] = process.argv.slice(2);
switch (command) {
  case 'discovery':
    await discovery(words);
    break;
  case 'version':
    console.log(
      words.includes('-s') || words.includes('--short') ? VERSION : `version.BuildInfo{Version:"${VERSION}"}`,
    );
    break;
  case 'request': {
    const [method = 'GET', path = '/debug'] = words;
    try {
      const answer = await fetch(`http://127.0.0.1:8080${path.startsWith('/') ? path : `/${path}`}`, { method });
      process.stdout.write(await answer.text());
      process.exitCode = answer.ok ? 0 : 1;
    } catch (error) {
      const { message, cause } = error as Error;
      process.stderr.write(
        `istiod does not answer on 127.0.0.1:8080: ${cause instanceof Error ? cause.message : message}\n`,
      );
      process.exitCode = 1;
    }
    break;
  }
  default: {
    const help = command === undefined || command === 'help' || command === '--help' || command === '-h';
    (help ? process.stdout : process.stderr).write(help ? usage : `unknown command '${command}'\n\n${usage}`);
    process.exitCode = help ? 0 : 1;
  }
}

async function discovery(flags: readonly string[]): Promise<void> {
  if (flags.includes('--help') || flags.includes('-h')) {
    process.stdout.write(usage);
    return;
  }
  let running: Discovery | undefined;
  let graceMs = 0;
  let stopping = false;
  // From the beginning: as the first process of a container it would not be ended by a signal that it does not handle. A second one is in a hurry.
  const stop = (): void => {
    if (!running || stopping) process.exit(0);
    stopping = true;
    running.close(graceMs).then(
      () => process.exit(0),
      (error: Error) => {
        process.stderr.write(`${error.stack ?? error.message}\n`);
        process.exit(1);
      },
    );
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  try {
    const settings = parseSettings(flags, process.env);
    graceMs = settings.shutdownMs;
    running = await startDiscovery(settings, process.env, process.argv.slice(2));
  } catch (error) {
    process.stderr.write(`${error instanceof SettingsError ? error.message : ((error as Error).stack ?? error)}\n`);
    process.exit(1);
  }
}
