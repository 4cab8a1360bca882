/** Versions of the CNI specification that the plugin speaks. */
export const SUPPORTED_VERSIONS = ['0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0'] as const;

/** What is answered to VERSION, whatever the configuration. */
export const VERSION_ANSWER = JSON.stringify({ cniVersion: '1.1.0', supportedVersions: SUPPORTED_VERSIONS });

/** Calls that succeed without a look at anything, and what they print is nothing. */
export const SILENT_COMMANDS = ['DEL', 'GC', 'STATUS'] as const;

/**
 * The answer to a call that needs no look at anything (CNI specification, "DEL", "GC", "STATUS", "VERSION"); undefined for the others. The rules end with the
 * pod's network namespace, and nothing is kept anywhere else: runtimes end pods also when the API server and the agent are gone. The status is always good:
 * on a node whose network is not ready the kubelet starts no pod with a network of its own, and the agent that would mend it is one.
 */
export function quickAnswer(command: string | undefined): string | undefined {
  if (command === 'VERSION') return VERSION_ANSWER;
  return SILENT_COMMANDS.some((silent) => silent === command) ? '' : undefined;
}
