export * from './engine/index.ts';
export * from './generated.ts';
export * from './source.ts';
