import { chownSync, existsSync, mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type Document, isMap, isSeq, parseDocument, type YAMLMap } from 'yaml';
import { personalHome } from './layout.ts';

export interface ContextEntry {
  readonly name: string;
  /** `https://127.0.0.1:PORT` */
  readonly server: string;
  /** PEM, each. */
  readonly caCertificate: string;
  readonly clientCertificate: string;
  readonly clientKey: string;
}

/** The file kubectl would change: of those in `KUBECONFIG` the one that has the context, else the first; by default `~/.kube/config`. */
export function kubeconfigPath(context: string, env: NodeJS.ProcessEnv = process.env): string {
  const listed = (env.KUBECONFIG ?? '').split(':').filter((path) => path !== '');
  if (listed.length === 0) return join(personalHome(env), '.kube', 'config');
  const having = listed.find((path) => existsSync(path) && hasContext(readFileSync(path, 'utf8'), context));
  return having ?? listed.find((path) => existsSync(path)) ?? listed[0] ?? '';
}

function hasContext(text: string, context: string): boolean {
  const contexts = parseDocument(text).get('contexts');
  return isSeq(contexts) && contexts.items.some((item) => isMap(item) && item.get('name') === context);
}

/** The text of a kubeconfig with the context added (or replaced) and made current; everything else, comments too, stays. Pure. */
export function withContext(text: string, entry: ContextEntry): string {
  const document: Document = parseDocument(text);
  if (document.errors.length > 0) throw new Error(document.errors[0]?.message ?? 'not a kubeconfig');
  if (!isMap(document.contents)) document.contents = document.createNode({ apiVersion: 'v1', kind: 'Config' });
  const encode = (pem: string) => Buffer.from(pem).toString('base64');
  const { name } = entry;
  const parts = {
    clusters: {
      name,
      cluster: { 'certificate-authority-data': encode(entry.caCertificate), server: entry.server },
    },
    users: {
      name,
      user: {
        'client-certificate-data': encode(entry.clientCertificate),
        'client-key-data': encode(entry.clientKey),
      },
    },
    contexts: { name, context: { cluster: name, user: name } },
  };
  for (const [field, value] of Object.entries(parts)) {
    let list = document.get(field);
    if (!isSeq(list)) {
      list = document.createNode([]);
      document.set(field, list);
    }
    if (!isSeq(list)) continue;
    list.flow = false;
    const index = list.items.findIndex((item) => isMap(item) && item.get('name') === name);
    const node = document.createNode(value);
    if (field === 'contexts' && index >= 0) {
      // A namespace that the user has chosen for the context stays.
      const old = list.items[index];
      const namespace = isMap(old) ? (old as YAMLMap).getIn(['context', 'namespace']) : undefined;
      if (namespace !== undefined && isMap(node)) (node as YAMLMap).setIn(['context', 'namespace'], namespace);
    }
    if (index >= 0) list.items[index] = node;
    else list.add(node);
  }
  document.set('current-context', name);
  return document.toString();
}

/** The text without the context, its cluster and its user. Pure. */
export function withoutContext(text: string, name: string): string {
  const document = parseDocument(text);
  if (!isMap(document.contents)) return text;
  for (const field of ['clusters', 'users', 'contexts']) {
    const list = document.get(field);
    if (!isSeq(list)) continue;
    list.items = list.items.filter((item) => !(isMap(item) && item.get('name') === name));
  }
  if (document.get('current-context') === name) document.set('current-context', '');
  return document.toString();
}

/** Adds the context to the user's kubeconfig and makes it current, as kind does. Returns the file. */
export function mergeKubeconfig(entry: ContextEntry, env: NodeJS.ProcessEnv = process.env): string {
  const path = kubeconfigPath(entry.name, env);
  const before = existsSync(path) ? readFileSync(path, 'utf8') : '';
  const after = withContext(before, entry);
  if (after !== before) write(path, after, env);
  return path;
}

/** Takes the context out again; not an error when it is not there. */
export function removeFromKubeconfig(name: string, env: NodeJS.ProcessEnv = process.env): void {
  const path = kubeconfigPath(name, env);
  if (!existsSync(path)) return;
  const before = readFileSync(path, 'utf8');
  if (!hasContext(before, name)) return;
  write(path, withoutContext(before, name), env);
}

function write(path: string, text: string, env: NodeJS.ProcessEnv): void {
  const fresh = !existsSync(dirname(path));
  mkdirSync(dirname(path), { recursive: true });
  const temporary = `${path}.istio-ts`;
  writeFileSync(temporary, text, { mode: 0o600 });
  const uid = Number(env.SUDO_UID);
  const gid = Number(env.SUDO_GID);
  if (existsSync(path)) {
    const old = statSync(path);
    chownSync(temporary, old.uid, old.gid);
  } else if (process.getuid?.() === 0 && Number.isInteger(uid) && Number.isInteger(gid)) {
    chownSync(temporary, uid, gid);
    if (fresh) chownSync(dirname(path), uid, gid);
  }
  renameSync(temporary, path);
}
