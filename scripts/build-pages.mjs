import { cpSync, existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');

/**
 * Builds the console's pages into the folder `to` with esbuild's `build`: one script, one style sheet, and the graph's layout for a thread of its
 * own. They work without a network.
 */
export async function buildPages(bundle, to) {
  const web = join(root, 'packages', 'console', 'web');
  if (!existsSync(join(web, 'main.tsx'))) return;
  await bundle({
    absWorkingDir: root,
    entryPoints: { app: join(web, 'main.tsx'), layout: join(web, 'graph', 'layout-thread.ts') },
    outdir: to,
    bundle: true,
    format: 'esm',
    platform: 'browser',
    target: ['chrome109', 'firefox115', 'safari16.4'],
    jsx: 'automatic',
    jsxImportSource: 'preact',
    tsconfigRaw: {},
    define: { 'process.env.NODE_ENV': '"production"' },
    minify: true,
    legalComments: 'linked',
    logLevel: 'warning',
  });
  for (const file of ['index.html', 'icon.svg']) cpSync(join(web, file), join(to, file));
}
