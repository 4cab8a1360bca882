import { createServer } from 'node:net';

/** Answers every line that comes with itself and a prefix: `tcp-echo 9000,9001 hello`. */
const [ports = '9000', prefix = 'hello'] = process.argv.slice(2);
const longestLine = 64 * 1024;

const servers = ports.split(',').map((port) => {
  const server = createServer((socket) => {
    let rest = '';
    socket.setNoDelay(true);
    socket.on('data', (chunk) => {
      const lines = (rest + chunk.toString('utf8')).split('\n');
      rest = lines.pop() ?? '';
      if (rest.length > longestLine) return void socket.destroy();
      for (const line of lines) socket.write(`${prefix} ${line}\n`);
    });
    socket.on('end', () => {
      if (rest) socket.write(`${prefix} ${rest}`);
    });
    socket.on('error', () => socket.destroy());
  });
  server.listen(Number(port), () => console.log(`tcp-echo listens on port ${port}, prefix ${prefix}`));
  return server;
});
process.once('SIGTERM', () => {
  for (const server of servers) server.close();
  process.exit(0);
});
