export * from './chart.ts';
export * from './check-values.ts';
export * from './errors.ts';
export * from './json.ts';
export * from './profile.ts';
export * from './render.ts';
export * from './values.ts';
