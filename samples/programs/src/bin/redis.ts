import { createServer } from 'node:net';
import { createDatabase } from '../redis.ts';
import { CommandReader, encodeReply } from '../resp.ts';

/** A Redis for samples, used where the machine has no redis-server: speaks RESP2, keeps everything in memory. */
const flag = process.argv.indexOf('--port');
const port = Number(flag >= 0 ? process.argv[flag + 1] : '6379');
const call = createDatabase(Date.now);

const server = createServer((socket) => {
  const reader = new CommandReader();
  socket.setNoDelay(true);
  socket.on('data', (chunk) => {
    try {
      for (const command of reader.push(chunk)) {
        if (command[0]?.toUpperCase() === 'QUIT') {
          socket.end('+OK\r\n');
          return;
        }
        socket.write(encodeReply(call(command)));
      }
    } catch (error) {
      socket.end(encodeReply({ error: `ERR ${(error as Error).message}` }));
    }
  });
  socket.on('error', () => socket.destroy());
});
server.listen(port, '0.0.0.0', () => console.log(`ready to accept connections on port ${port}`));
process.once('SIGTERM', () => process.exit(0));
