import type { BuildOptions } from 'esbuild';

export function buildPages(bundle: (options: BuildOptions) => Promise<unknown>, to: string): Promise<void>;
