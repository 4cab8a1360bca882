import { connect } from 'node:net';

// Runs inside a pod's network namespace: connects to loopback ports there and hands the sockets to the node.
process.on('message', (message: { readonly id: number; readonly port: number }) => {
  const socket = connect({ host: '127.0.0.1', port: message.port, allowHalfOpen: true, noDelay: true });
  socket.once('error', (error) => process.send?.({ id: message.id, error: error.message }));
  socket.once('connect', () => {
    socket.pause();
    process.send?.({ id: message.id }, socket);
  });
});
process.on('disconnect', () => process.exit(0));
