import { main } from '../plugin/main.ts';

await main();
