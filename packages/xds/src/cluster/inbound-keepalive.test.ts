import { join } from 'node:path';
import { isolatedTest } from '../testing/isolated.ts';

isolatedTest('TCP keep-alive of the application', join(import.meta.dirname, 'inbound-keepalive.cases.ts'));
