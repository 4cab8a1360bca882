import { VERSION } from '@istio-ts/api/version';
import { startDiscovery } from '../process/discovery.ts';
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
    const answer = await fetch(`http://127.0.0.1:8080${path.startsWith('/') ? path : `/${path}`}`, { method });
    process.stdout.write(await answer.text());
    process.exitCode = answer.ok ? 0 : 1;
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
  try {
    const settings = parseSettings(flags, process.env);
    const running = await startDiscovery(settings, process.env, process.argv.slice(2));
    const stop = () => void running.close(settings.shutdownMs).then(() => process.exit(0));
    process.once('SIGTERM', stop);
    process.once('SIGINT', stop);
  } catch (error) {
    process.stderr.write(`${error instanceof SettingsError ? error.message : ((error as Error).stack ?? error)}\n`);
    process.exit(1);
  }
}
