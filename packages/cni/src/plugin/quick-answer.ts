/**
 * Whether a call is answered by success without looking at anything (CNI specification, "DEL" and "GC"): the rules end with the pod's network namespace, and
 * nothing is kept anywhere else. Runtimes make such calls for every pod that ends, also when the API server and the agent are gone.
 */
export function needsNothing(command: string | undefined): boolean {
  return command === 'DEL' || command === 'GC';
}
