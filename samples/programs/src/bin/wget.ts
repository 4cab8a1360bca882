import { createWriteStream } from 'node:fs';
import { request } from 'node:http';
import { basename } from 'node:path';

/** The little of wget that init containers and probes use: -q, -O FILE (or -), -S (--server-response), -T SECONDS, --spider, --header. */
const words = process.argv.slice(2);
let output: string | undefined;
let seconds = 900;
let url: string | undefined;
let showHeaders = false;
let quiet = false;
let spider = false;
const headers: Record<string, string> = {};
for (let index = 0; index < words.length; index++) {
  const word = words[index] ?? '';
  const value = () => (word.includes('=') ? word.slice(word.indexOf('=') + 1) : (words[++index] ?? ''));
  if (word === '-O' || word.startsWith('--output-document')) output = value();
  else if (/^-O./.test(word)) output = word.slice(2);
  else if (/^-q?O-$/.test(word)) output = '-';
  else if (word === '-T' || word.startsWith('--timeout')) seconds = Number(value());
  else if (word === '-S' || word === '--server-response') showHeaders = true;
  else if (word === '-q' || word === '--quiet' || word === '-nv') quiet = true;
  else if (word === '--spider') spider = true;
  else if (word.startsWith('--header')) {
    const header = value();
    headers[header.slice(0, header.indexOf(':')).trim()] = header.slice(header.indexOf(':') + 1).trim();
  } else if (word === '-qO-') {
    quiet = true;
    output = '-';
  } else if (!word.startsWith('-')) url = word.includes('://') ? word : `http://${word}`;
}
const fail = (message: string, code = 1): never => {
  console.error(`wget: ${message}`);
  process.exit(code);
};

function fetchFrom(target: string, redirects: number): void {
  if (!quiet) console.error(`Connecting to ${new URL(target).host}`);
  const outgoing = request(
    target,
    { headers, timeout: seconds * 1000, method: spider ? 'HEAD' : 'GET' },
    (response) => {
      if (showHeaders) {
        console.error(`  HTTP/${response.httpVersion} ${response.statusCode} ${response.statusMessage}`);
        for (let index = 0; index < response.rawHeaders.length; index += 2)
          console.error(`  ${response.rawHeaders[index]}: ${response.rawHeaders[index + 1]}`);
      }
      const status = response.statusCode ?? 0;
      if (status >= 300 && status < 400 && response.headers.location) {
        response.resume();
        if (redirects === 0) fail('too many redirections');
        return fetchFrom(new URL(response.headers.location, target).href, redirects - 1);
      }
      if (status >= 400)
        fail(`server returned error: HTTP/${response.httpVersion} ${status} ${response.statusMessage}`, 8);
      if (spider) return void response.resume();
      const name = output ?? (basename(new URL(target).pathname) || '/dev/null');
      response
        .pipe(name === '-' ? process.stdout : createWriteStream(name === 'index.html' ? '/dev/null' : name))
        .on('error', (error) => fail(error.message));
    },
  );
  outgoing.on('timeout', () => fail('download timed out'));
  outgoing.on('error', (error) => fail(`can't connect to remote host: ${error.message}`, 4));
  outgoing.end();
}
fetchFrom(url ?? fail('missing URL'), 5);
