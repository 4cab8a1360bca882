import { connect, createServer, type Socket } from 'node:net';

// nc of the images, which says that its input has ended as busybox's does: `nc HOST PORT`, `nc -z HOST PORT`, `nc -l [-p] PORT`, `-w SECONDS`, `-v`; `-N` and
// `-q SECONDS` of other kinds change nothing. No UDP.
const words: string[] = [];
const flags = new Set<string>();
let wait = 0;
let listenAt: string | undefined;
const args = process.argv.slice(2);
for (let index = 0; index < args.length; index++) {
  const arg = args[index] ?? '';
  if (arg === '-w' || arg === '-p' || arg === '-q') {
    index += 1;
    if (arg === '-w') wait = Number(args[index]) * 1000;
    if (arg === '-p') listenAt = args[index];
  } else if (arg.startsWith('-')) for (const letter of arg.slice(1)) flags.add(letter);
  else words.push(arg);
}

function join(socket: Socket): void {
  process.stdin.pipe(socket);
  socket.pipe(process.stdout);
  socket.on('close', () => process.exit(0));
}

const port = Number(flags.has('l') ? (listenAt ?? words.at(-1)) : words.at(-1));
if (flags.has('u')) {
  console.error('nc: this one knows TCP only');
  process.exit(2);
}
if (!Number.isInteger(port) || port < 1 || port > 65_535) {
  console.error('usage: nc [-z] [-v] [-w SECONDS] HOST PORT | nc -l -p PORT');
  process.exit(2);
}
if (flags.has('l')) {
  const server = createServer((socket) => {
    server.close();
    join(socket);
  });
  server.listen(port);
} else {
  const host = words[0] ?? '';
  const socket = connect({ host, port, allowHalfOpen: true });
  const fail = (message: string) => {
    if (flags.has('v')) console.error(`nc: ${host} (${port}): ${message}`);
    process.exit(1);
  };
  if (wait > 0) socket.setTimeout(wait, () => fail('timed out'));
  socket.on('error', (error) => fail(error.message));
  socket.on('connect', () => {
    if (flags.has('v')) console.error(`Connection to ${host} ${port} port succeeded`);
    if (flags.has('z')) process.exit(0);
    join(socket);
  });
}
