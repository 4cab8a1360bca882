import { join } from 'node:path';
import { isolatedTest } from '../testing/isolated.ts';

isolatedTest('TCP keep-alive', join(import.meta.dirname, 'keepalive.cases.ts'));
