export { ConfigError, parseConfig } from './config.ts';
export { RATE_LIMIT_METHOD, type RunningRateLimit, startRateLimit } from './server.ts';
export { readSettings, type Settings, SettingsError } from './settings.ts';
