export type * from './api.ts';
export { type ConsoleOptions, type RunningConsole, startConsole } from './server.ts';
export { consoleFlags, readSettings, type Settings } from './settings.ts';
