import { connect } from 'node:net';
import type { Log } from './service.ts';

/** Sends what the counters have grown by to statsd over TCP, one line for each, as often as `everyMs` says. What cannot be sent is sent the next time. */
export function startStatsd(
  to: { readonly host: string; readonly port: number; readonly everyMs: number },
  values: () => ReadonlyMap<string, number>,
  log: Log,
): { stop(): void } {
  const sent = new Map<string, number>();
  let isBusy = false;
  const flush = (): void => {
    if (isBusy) return;
    const grown = [...values()].filter(([name, value]) => value !== (sent.get(name) ?? 0));
    if (grown.length === 0) return;
    isBusy = true;
    const lines = grown.map(([name, value]) => `${name}:${value - (sent.get(name) ?? 0)}|c\n`).join('');
    const socket = connect(to.port, to.host, () => {
      socket.end(lines, () => {
        for (const [name, value] of grown) sent.set(name, value);
      });
    });
    socket.setTimeout(5000, () => socket.destroy());
    socket.on('error', (error) => log.debug(`statsd at ${to.host}:${to.port}: ${error.message}`));
    socket.on('close', () => {
      isBusy = false;
    });
    socket.resume();
  };
  const timer = setInterval(flush, to.everyMs);
  timer.unref();
  return { stop: () => clearInterval(timer) };
}
