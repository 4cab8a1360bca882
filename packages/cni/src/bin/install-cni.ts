import { main } from '../install/main.ts';

process.exit(await main(process.argv.slice(2)));
