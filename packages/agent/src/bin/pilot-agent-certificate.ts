// Helper of pilot-agent: one request as JSON on standard input, one answer on standard output.
import { readFileSync } from 'node:fs';
import { serveHelperRequest } from '../certificates/obtain.ts';
import type { HelperRequest } from '../certificates/obtain.ts';

const request = JSON.parse(readFileSync(0, 'utf8')) as HelperRequest;
const response = JSON.stringify(await serveHelperRequest(request));
process.stdout.write(response, () => process.exit(0));
