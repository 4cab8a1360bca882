/** Values of the Redis protocol (RESP2) that this server reads and writes. */
export type Reply = { readonly ok: string } | { readonly error: string } | number | string | null | readonly Reply[];

const maxArguments = 1024;
const maxArgumentBytes = 512 * 1024;

/** Encodes one reply. */
export function encodeReply(reply: Reply): string {
  if (reply === null) return '$-1\r\n';
  if (typeof reply === 'number') return `:${reply}\r\n`;
  if (typeof reply === 'string') return `$${Buffer.byteLength(reply)}\r\n${reply}\r\n`;
  if (Array.isArray(reply)) return `*${reply.length}\r\n${reply.map(encodeReply).join('')}`;
  const line = reply as { readonly ok: string } | { readonly error: string };
  return 'ok' in line ? `+${line.ok}\r\n` : `-${line.error}\r\n`;
}

/** Reads commands from a stream of bytes. `push` returns the commands that are complete; throws on bytes that are no RESP. */
export class CommandReader {
  #pending: Buffer = Buffer.alloc(0);

  push(chunk: Buffer): string[][] {
    this.#pending = this.#pending.length > 0 ? Buffer.concat([this.#pending, chunk]) : chunk;
    const commands: string[][] = [];
    for (let command = this.#next(); command !== undefined; command = this.#next())
      if (command.length > 0) commands.push(command);
    return commands;
  }

  #next(): string[] | undefined {
    const bytes = this.#pending;
    const lineAt = (from: number): { readonly text: string; readonly end: number } | undefined => {
      const end = bytes.indexOf('\r\n', from);
      if (end < 0 && bytes.length - from > maxArgumentBytes) throw new Error('Protocol error: too big inline request');
      return end < 0 ? undefined : { text: bytes.toString('utf8', from, end), end: end + 2 };
    };
    const first = lineAt(0);
    if (!first) return undefined;
    if (!first.text.startsWith('*')) {
      this.#pending = bytes.subarray(first.end);
      return first.text.split(/\s+/).filter(Boolean);
    }
    const count = Number(first.text.slice(1));
    if (!Number.isInteger(count) || count > maxArguments) throw new Error('Protocol error: invalid multibulk length');
    const words: string[] = [];
    let position = first.end;
    for (let index = 0; index < count; index++) {
      const header = lineAt(position);
      if (!header) return undefined;
      const length = Number(header.text.slice(1));
      if (!header.text.startsWith('$') || !Number.isInteger(length) || length < 0 || length > maxArgumentBytes)
        throw new Error('Protocol error: invalid bulk length');
      if (bytes.length < header.end + length + 2) return undefined;
      words.push(bytes.toString('utf8', header.end, header.end + length));
      position = header.end + length + 2;
    }
    this.#pending = bytes.subarray(position);
    return words;
  }
}
