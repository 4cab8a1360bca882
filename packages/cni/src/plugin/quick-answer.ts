/** Versions of the CNI specification that the plugin speaks. */
export const SUPPORTED_VERSIONS = ['0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0'] as const;

/** What is answered to VERSION, whatever the configuration. */
export const VERSION_ANSWER = JSON.stringify({ cniVersion: '1.1.0', supportedVersions: SUPPORTED_VERSIONS });

/**
 * The answer to a call that needs no look at anything (CNI specification, "DEL", "GC", "VERSION"); undefined for the others. The rules end with the pod's
 * network namespace, and nothing is kept anywhere else. Runtimes make such calls for every pod that ends, also when the API server and the agent are gone.
 */
export function quickAnswer(command: string | undefined): string | undefined {
  if (command === 'VERSION') return VERSION_ANSWER;
  return command === 'DEL' || command === 'GC' ? '' : undefined;
}
