import { VERSION } from '@istio-ts/api/version';
import { byNamespace, connectedProxies } from './connected-proxies.ts';
import { type ControlPlane, controlPlanes } from './control-planes.ts';
import { OperatorError } from './failure.ts';
import { type InstallOptions, installWith, type Wording } from './install.ts';
import { readRecord } from './installation-record.ts';
import { obstacleToUpgrade } from './version-skew.ts';

/** The control plane to upgrade. Raises OperatorError where there is none of that revision. */
function chosen(planes: readonly ControlPlane[], revision: string | undefined): ControlPlane {
  const wanted = revision ?? 'default';
  const found = planes.find((plane) => plane.revision === wanted);
  if (found) return found;
  const present = planes.map((plane) => plane.revision).join(', ');
  if (present === '')
    throw new OperatorError(
      'Istio is not installed in this cluster: there is nothing to upgrade. Use istioctl install',
    );
  throw new OperatorError(
    `revision ${wanted} is not installed in this cluster; there is: ${present}. Say which to upgrade with --revision; istioctl install --revision ${wanted} installs ${wanted} beside them`,
  );
}

function checkVersions(options: InstallOptions, plane: ControlPlane): void {
  const from = plane.version ?? 'unknown';
  options.ui.line(
    from === VERSION
      ? `Revision ${plane.revision} has version ${VERSION} already; its settings are applied again.`
      : `Upgrade of revision ${plane.revision} from ${from} to ${VERSION}.`,
  );
  const obstacle = obstacleToUpgrade(from, VERSION);
  if (obstacle === undefined) return;
  if (!options.force) throw new OperatorError(`no upgrade: ${obstacle}. --force upgrades in spite of that`);
  options.ui.warn(obstacle);
}

/** Names what still runs the proxies of before. */
async function hintRestart(options: InstallOptions, plane: ControlPlane): Promise<void> {
  const { ui } = options;
  const connected = await connectedProxies(options.client(), plane.namespace, plane.revision);
  if (!connected.known) {
    ui.warn(`the proxies cannot be listed: ${connected.reason}`);
    return;
  }
  const old = connected.proxies.filter(({ istio_version: version }) => version !== VERSION);
  if (old.length === 0) {
    if (connected.proxies.length > 0) ui.line(`All ${connected.proxies.length} proxies run ${VERSION}.`);
    return;
  }
  ui.line(`${old.length} of ${connected.proxies.length} proxies still run another version. Restart them with:`);
  for (const [namespace, count] of byNamespace(old))
    ui.line(`  kubectl rollout restart deployment -n ${namespace}    # ${count} ${count === 1 ? 'proxy' : 'proxies'}`);
}

/**
 * `istioctl upgrade`: replaces the control plane of a revision, and the gateways, in place. Without settings it keeps those of the present installation. Returns
 * the exit code. Raises OperatorError for versions that do not follow each other, and what installing raises.
 */
export async function runUpgrade(options: InstallOptions): Promise<number> {
  const client = options.client();
  const plane = chosen(await controlPlanes(client), options.revision);
  checkVersions(options, plane);
  const given = options.files.length > 0 || options.sets.length > 0;
  const record = given ? undefined : await readRecord(client, plane.revision, plane.namespace);
  if (record)
    options.ui.line(
      `The settings of the present installation are kept (profile ${record.profile}); -f and --set replace them.`,
    );
  else if (!given)
    options.ui.warn(
      'no settings are given and the installation left none: those of the profile default are used. Give the ones of the installation with -f and --set',
    );
  const wording: Wording = {
    question: (profile, titles) =>
      `This will upgrade the Istio control plane of revision ${plane.revision} to ${VERSION}, ${profile} profile with [${titles}] components.`,
    done: 'Upgrade complete',
    again: 'Run the same command again to complete the upgrade',
  };
  const code = await installWith(
    {
      ...options,
      istioNamespace: plane.namespace,
      ...(plane.revision !== 'default' && { revision: plane.revision }),
      ...(record && { specs: [record.settings.spec], sets: record.settings.sets }),
    },
    wording,
  );
  if (code === 0 && !options.dryRun) await hintRestart(options, plane);
  return code;
}
