import { createServer } from 'node:http';

/** The client of the traffic tests, run in a pod: evaluates the functions that a test sends it, so that what they see is what a pod sees. */
createServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', async () => {
    try {
      const { source, input } = JSON.parse(Buffer.concat(chunks).toString('utf8')) as {
        readonly source: string;
        readonly input: unknown;
      };
      const code = `export default ${source}`;
      const { default: task } = (await import(`data:text/javascript,${encodeURIComponent(code)}`)) as {
        readonly default: (modules: object, input: unknown) => Promise<unknown>;
      };
      const value = await task(
        {
          http: await import('node:http'),
          http2: await import('node:http2'),
          net: await import('node:net'),
          tls: await import('node:tls'),
        },
        input,
      );
      response.end(JSON.stringify({ value: value ?? null }));
    } catch (error) {
      response.statusCode = 500;
      response.end(JSON.stringify({ error: error instanceof Error ? (error.stack ?? error.message) : String(error) }));
    }
  });
}).listen(7000, '127.0.0.1', () => console.log('ready'));
