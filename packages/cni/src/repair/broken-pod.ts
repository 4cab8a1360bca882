import type { RepairSettings } from '../install/settings.ts';
import type { Pod } from '../plugin/pod.ts';

/**
 * Whether a pod started without its rules: it has a sidecar, and the init container that checks the rules ended with the code that says they are
 * missing. Such a pod came to the node before the plugin did.
 */
export function isBroken(pod: Pod, settings: RepairSettings): boolean {
  if (pod.metadata.deletionTimestamp !== undefined) return false;
  if (pod.metadata.annotations?.[settings.sidecarAnnotation] === undefined) return false;
  const status = pod.status?.initContainerStatuses?.find(({ name }) => name === settings.initContainerName);
  // While it runs again, as after a repair, its outcome is to come.
  if (status?.state?.running !== undefined) return false;
  // Once it has ended well the rules are there, whatever was before.
  const ended = status?.state?.terminated ?? status?.lastState?.terminated;
  return (
    ended !== undefined &&
    ended.exitCode === settings.initContainerExitCode &&
    (settings.terminationMessage === '' || (ended.message ?? '').includes(settings.terminationMessage))
  );
}

/** What is done with broken pods: repairing leaves the pod alone, deleting makes a new one, a label leaves it to others. */
export function repairAction(settings: RepairSettings): 'repair' | 'delete' | 'label' | undefined {
  if (!settings.enabled || settings.nodeName === '') return undefined;
  if (settings.repairPods) return 'repair';
  if (settings.deletePods) return 'delete';
  return settings.labelPods ? 'label' : undefined;
}
