import { main } from '../cli/main.ts';

// Whoever reads the output may go away.
process.stdout.on('error', () => undefined);
const exitCode = await main(process.argv.slice(2));
// What a pipe has not taken yet would be lost: a configuration dump is larger than its buffer.
await new Promise<void>((resolve) => process.stdout.write('', () => resolve()));
process.exit(exitCode);
