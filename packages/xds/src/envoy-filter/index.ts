export { compileFilter, envoyFilterProblems, type PatchProblem } from './patch.ts';
export { patchesOf, type ProxyPatches, type PatchSet } from './patch-set.ts';
