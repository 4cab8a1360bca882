export * from './client.ts';
export * from './object.ts';
