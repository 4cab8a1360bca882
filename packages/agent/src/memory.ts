/**
 * Keeps the process small at the price of speed it does not need. The agent forwards some text every few seconds; compiling its
 * functions to machine code costs 3 MB of compiler pages and code, and letting the young generation grow 3 MB more.
 * To be called first, before much has run. Started as `node --lite-mode --max-semi-space-size=1`, the process is another 3 MB
 * smaller, and nothing is left to do here.
 */
export function preferSmallMemory(): void {
  if (process.execArgv.includes('--lite-mode')) return;
  const v8 = process.getBuiltinModule('node:v8');
  for (const flag of ['--no-opt', '--no-maglev', '--no-sparkplug', '--semi-space-growth-factor=1'])
    v8.setFlagsFromString(flag);
}
