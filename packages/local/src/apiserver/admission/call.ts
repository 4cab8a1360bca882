import { request as httpRequest } from 'node:http';
import { Agent, request as httpsRequest } from 'node:https';
import { connect } from 'node:net';
import type { Duplex } from 'node:stream';
import { connect as tlsConnect } from 'node:tls';
import type { ObjectStore } from '../../store/object-store.ts';
import { asArray, asNumber, asObject, asString, isObject, type JsonObject } from '../json.ts';

export type DialService = (clusterIP: string, port: number) => Promise<Duplex>;

const MAX_ANSWER = 10 * 1024 * 1024;

function dialTcp(host: string, port: number): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port });
    socket.once('connect', () => resolve(socket));
    socket.once('error', reject);
  });
}

interface Endpoint {
  readonly url: URL;
  readonly dial: (() => Promise<Duplex>) | undefined;
}

function endpointOf(clientConfig: JsonObject, store: ObjectStore, dialService: DialService, seconds: number): Endpoint {
  const query = `timeout=${seconds}s`;
  const plain = clientConfig.url;
  if (typeof plain === 'string') {
    const url = new URL(plain);
    if (url.search === '') url.search = query;
    return { url, dial: undefined };
  }
  const reference = asObject(clientConfig.service);
  const name = asString(reference.name);
  const namespace = asString(reference.namespace);
  const port = asNumber(reference.port, 443);
  const service = store.get('/services', namespace, name);
  if (service === undefined) throw new Error(`service "${name}" not found`);
  const spec = asObject(service.spec);
  const address = asString(asArray(spec.clusterIPs)[0]) || asString(spec.clusterIP);
  if (address === '' || address === 'None') throw new Error(`service "${name}" has no ClusterIP`);
  const path = asString(reference.path);
  const url = new URL(`https://${name}.${namespace}.svc:${port}${path.startsWith('/') ? path : `/${path}`}?${query}`);
  return { url, dial: () => dialService(address, port) };
}

/**
 * Posts an AdmissionReview to a webhook and returns the decoded answer. Throws an `Error` whose message says what failed, with the
 * address in front, as Kubernetes writes it.
 */
export async function callWebhook(
  clientConfig: JsonObject,
  review: object,
  seconds: number,
  store: ObjectStore,
  dialService: DialService = dialTcp,
): Promise<JsonObject> {
  const endpoint = endpointOf(clientConfig, store, dialService, seconds);
  const bundle = asString(clientConfig.caBundle);
  const ca = bundle === '' ? undefined : Buffer.from(bundle, 'base64');
  const signal = AbortSignal.timeout(seconds * 1000);
  try {
    const text = await post(endpoint, JSON.stringify(review), ca, signal);
    const answer: unknown = JSON.parse(text);
    if (!isObject(answer)) throw new Error('the answer is not an object');
    return answer;
  } catch (error) {
    const why = signal.aborted ? 'context deadline exceeded' : reasonOf(error);
    throw new Error(`Post ${JSON.stringify(endpoint.url.toString())}: ${why}`);
  }
}

async function post(endpoint: Endpoint, body: string, ca: Buffer | undefined, signal: AbortSignal): Promise<string> {
  const { url } = endpoint;
  const headers = {
    'Content-Type': 'application/json',
    Accept: 'application/json',
    'Content-Length': Buffer.byteLength(body),
    'User-Agent': 'kube-apiserver-admission',
  };
  const common = { method: 'POST', headers, signal };
  const raw = endpoint.dial === undefined ? undefined : await withAbort(endpoint.dial(), signal);
  return new Promise((resolve, reject) => {
    const outgoing =
      url.protocol === 'http:'
        ? httpRequest(url, common)
        : httpsRequest(url, {
            ...common,
            ...(ca === undefined ? {} : { ca }),
            ...(raw === undefined ? {} : { agent: oneConnection(raw, url.hostname, ca) }),
          });
    outgoing.on('error', reject);
    outgoing.on('response', (response) => {
      const chunks: Buffer[] = [];
      let size = 0;
      response.on('data', (chunk: Buffer) => {
        size += chunk.length;
        if (size > MAX_ANSWER) outgoing.destroy(new Error('the answer is too large'));
        else chunks.push(chunk);
      });
      response.on('error', reject);
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString('utf8');
        if (response.statusCode === 200) resolve(text);
        else reject(new Error(`unexpected status ${String(response.statusCode)}: ${text.slice(0, 200)}`));
      });
    });
    outgoing.end(body);
  });
}

/** TLS over a connection that is open already. */
function oneConnection(socket: Duplex, servername: string, ca: Buffer | undefined): Agent {
  const agent = new Agent({ keepAlive: false });
  agent.createConnection = () =>
    tlsConnect({ socket, servername, ...(ca === undefined ? {} : { ca }), ALPNProtocols: ['http/1.1'] });
  return agent;
}

function withAbort<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    signal.addEventListener('abort', () => reject(new Error('context deadline exceeded')), { once: true });
    promise.then(resolve, reject);
  });
}

/** In the words of Kubernetes, which people search for: `dial tcp 10.96.0.5:443: connect: connection refused`. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const refused = /^connect ECONNREFUSED (\S+)$/.exec(error.message);
  return refused ? `dial tcp ${refused[1]}: connect: connection refused` : error.message;
}
