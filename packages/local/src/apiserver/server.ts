import type { ApiServer, ApiServerOptions } from './options.ts';

/** Starts the API server; resolves when every place of `options.listen` accepts connections. */
export function startApiServer(_options: ApiServerOptions): Promise<ApiServer> {
  return Promise.reject(new Error('the API server is being built'));
}
