import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import type { Pod } from '../plugin/pod.ts';

/** Folders of the node, as mounted: its process table and its named network namespaces. */
export interface NodeFolders {
  readonly proc: string;
  readonly netns: string;
}

/**
 * Path of a pod's network namespace, found from outside: by the pod's uid in the name of a namespace or in the control group of one of its processes,
 * else by the pod's address among the local addresses of a namespace. Undefined when the pod has none (any more).
 */
export function findPodNamespace(pod: Pod, { proc, netns }: NodeFolders): string | undefined {
  const uid = pod.metadata.uid ?? '';
  const named = list(netns);
  const byName = uid === '' ? undefined : named.find((name) => name.includes(uid));
  if (byName !== undefined) return join(netns, byName);

  const host = link(join(proc, '1/ns/net'));
  const processes = list(proc)
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => ({ pid, namespace: link(join(proc, pid, 'ns/net')) }))
    .filter(({ namespace }) => namespace !== undefined && namespace !== host);
  // systemd writes uids with underscores.
  const forms = uid === '' ? [] : [uid, uid.replaceAll('-', '_')];
  const member = processes.find(({ pid }) => {
    const group = read(join(proc, pid, 'cgroup'));
    return forms.some((form) => group.includes(form));
  });
  if (member !== undefined) return join(proc, member.pid, 'ns/net');

  const addresses = (pod.status?.podIPs ?? [{ ip: pod.status?.podIP }]).flatMap(({ ip }) => (ip ? [ip] : []));
  if (addresses.length === 0) return undefined;
  const seen = new Set<string | undefined>();
  for (const { pid, namespace } of processes) {
    if (seen.has(namespace)) continue;
    seen.add(namespace);
    const local = localAddresses(read(join(proc, pid, 'net/fib_trie')), read(join(proc, pid, 'net/if_inet6')));
    if (addresses.some((address) => local.has(canonical(address)))) return join(proc, pid, 'ns/net');
  }
  // A namespace without processes: between two starts of the init container nothing runs in it, where no pause container does.
  for (const name of named) {
    const answer = spawnSync(
      'nsenter',
      [`--net=${join(netns, name)}`, '--', 'cat', '/proc/net/fib_trie', '/proc/net/if_inet6'],
      {
        encoding: 'utf8',
        timeout: 5000,
      },
    );
    const local = localAddresses(answer.stdout ?? '', answer.stdout ?? '');
    if (addresses.some((address) => local.has(canonical(address)))) return join(netns, name);
  }
  return undefined;
}

/** Addresses of a network namespace besides loopback, by the kernel's tables /proc/net/fib_trie and /proc/net/if_inet6. */
export function localAddresses(fibTrie: string, ifInet6: string): ReadonlySet<string> {
  const found = new Set<string>();
  let last = '';
  for (const line of fibTrie.split('\n')) {
    const address = /^\s*\|--\s+(\d+\.\d+\.\d+\.\d+)\s*$/.exec(line)?.[1];
    if (address !== undefined) last = address;
    else if (/^\s+\/32 host LOCAL\s*$/.test(line) && !last.startsWith('127.')) found.add(last);
  }
  for (const [, digits = ''] of ifInet6.matchAll(/^([0-9a-f]{32}) /gm)) {
    const groups = digits.match(/.{4}/g) ?? [];
    if (digits !== `${'0'.repeat(31)}1` && !digits.startsWith('fe80')) found.add(canonical(groups.join(':')));
  }
  return found;
}

/** One way to write an address. */
function canonical(address: string): string {
  return address.includes(':') ? new URL(`http://[${address}]`).hostname.slice(1, -1) : address;
}

function list(directory: string): readonly string[] {
  try {
    return readdirSync(directory);
  } catch {
    // Processes end while their files are read.
    return [];
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

function link(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}
