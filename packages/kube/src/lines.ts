import type { Readable } from 'node:stream';

/**
 * Lines of a byte stream, without their ends; the last one may lack its end. Throws when a line is longer than
 * `maxLine` bytes.
 */
export async function* readLines(stream: Readable, maxLine: number): AsyncGenerator<string> {
  let rest: Buffer[] = [];
  let size = 0;
  for await (const chunk of stream) {
    const bytes = chunk as Buffer;
    let start = 0;
    for (let end = bytes.indexOf(10); end >= 0; end = bytes.indexOf(10, start)) {
      const piece = bytes.subarray(start, end);
      start = end + 1;
      yield rest.length === 0 ? piece.toString('utf8') : Buffer.concat([...rest, piece]).toString('utf8');
      rest = [];
      size = 0;
    }
    if (start < bytes.length) {
      rest.push(bytes.subarray(start));
      size += bytes.length - start;
      if (size > maxLine) throw new Error(`A line of the answer is longer than ${maxLine} bytes.`);
    }
  }
  if (rest.length > 0) yield Buffer.concat(rest).toString('utf8');
}
