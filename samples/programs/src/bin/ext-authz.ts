import { parseArgs } from 'node:util';
import { grpcChecks, httpChecks } from '../ext-authz/servers.ts';

/** Answers external authorization checks: by HTTP on port 8000, by gRPC on port 9000. */
const { values } = parseArgs({
  // Flags of Go's kind have one dash or two.
  args: process.argv.slice(2).map((arg) => arg.replace(/^-(?=[a-z_]{2})/, '--')),
  options: {
    http: { type: 'string', default: '8000' },
    grpc: { type: 'string', default: '9000' },
    allow_service_account: { type: 'string', default: 'a' },
  },
});
const account = values.allow_service_account;
const http = httpChecks(account);
const grpc = grpcChecks(account);
http.listen(Number(values.http), () => console.log(`checks by HTTP at port ${values.http}`));
grpc.listen(Number(values.grpc), () => console.log(`checks by gRPC at port ${values.grpc}`));
process.once('SIGTERM', () => {
  http.close();
  grpc.close();
  process.exit(0);
});
