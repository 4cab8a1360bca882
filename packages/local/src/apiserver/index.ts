export type { ApiServer, ApiServerOptions, Listen } from './options.ts';
export { startApiServer } from './server.ts';
