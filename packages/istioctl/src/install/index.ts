export { OperatorError } from './failure.ts';
export { runManifestGenerate } from './generate.ts';
export { type InstallOptions, runInstall } from './install.ts';
export { runProfileDiff, runProfileDump, runProfileList } from './profiles.ts';
export type { Step, Ui } from './ui.ts';
export { runUninstall } from './uninstall.ts';
export { runVerifyInstall } from './verify.ts';
