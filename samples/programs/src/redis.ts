import type { Reply } from './resp.ts';

interface Entry {
  readonly value: string | Map<string, string>;
  /** Milliseconds since 1970. */
  expiresAt: number | undefined;
}

const wrongType = { error: 'WRONGTYPE Operation against a key holding the wrong kind of value' };
const notNumber = { error: 'ERR value is not an integer or out of range' };
const ok = { ok: 'OK' };

/** A small database with the commands that carts and rate limits need. `now` gives milliseconds since 1970. */
export function createDatabase(now: () => number): (command: readonly string[]) => Reply {
  const entries = new Map<string, Entry>();
  const find = (key: string): Entry | undefined => {
    const entry = entries.get(key);
    if (entry?.expiresAt !== undefined && entry.expiresAt <= now()) {
      entries.delete(key);
      return undefined;
    }
    return entry;
  };
  const hash = (key: string): Map<string, string> | undefined => {
    const entry = find(key);
    if (entry) return entry.value instanceof Map ? entry.value : undefined;
    const created = new Map<string, string>();
    entries.set(key, { value: created, expiresAt: undefined });
    return created;
  };
  const existingHash = (key: string): Map<string, string> | 'wrong' => {
    const entry = find(key);
    return !entry ? new Map() : entry.value instanceof Map ? entry.value : 'wrong';
  };
  const dropIfEmpty = (key: string) => {
    const entry = entries.get(key);
    if (entry?.value instanceof Map && entry.value.size === 0) entries.delete(key);
  };
  const expireIn = (key: string, ms: number): Reply => {
    const entry = find(key);
    if (!entry) return 0;
    if (!Number.isFinite(ms)) return notNumber;
    entry.expiresAt = now() + ms;
    return 1;
  };

  return ([name = '', ...words]) => {
    const [key = '', second = '', third = ''] = words;
    switch (name.toUpperCase()) {
      case 'PING':
        return key ? key : { ok: 'PONG' };
      case 'ECHO':
        return key;
      case 'SELECT':
      case 'CLIENT':
        return ok;
      case 'INFO':
        return 'redis_version:7.0.0\r\nredis_mode:standalone\r\nrole:master\r\nloading:0\r\n';
      case 'COMMAND':
        return [];
      case 'GET': {
        const entry = find(key);
        return !entry ? null : typeof entry.value === 'string' ? entry.value : wrongType;
      }
      case 'SET': {
        const options = words.slice(2).map((word) => word.toUpperCase());
        if (options.includes('NX') && find(key)) return null;
        if (options.includes('XX') && !find(key)) return null;
        const seconds = Number(words[2 + options.indexOf('EX') + 1]);
        const ms = Number(words[2 + options.indexOf('PX') + 1]);
        const life = options.includes('EX') ? seconds * 1000 : options.includes('PX') ? ms : undefined;
        if (life !== undefined && !Number.isFinite(life)) return notNumber;
        entries.set(key, { value: second, expiresAt: life === undefined ? undefined : now() + life });
        return ok;
      }
      case 'INCR':
      case 'INCRBY':
      case 'DECR': {
        const entry = find(key);
        if (entry && typeof entry.value !== 'string') return wrongType;
        const by = name.toUpperCase() === 'INCRBY' ? Number(second) : name.toUpperCase() === 'DECR' ? -1 : 1;
        const value = Number(entry?.value ?? '0') + by;
        if (!Number.isSafeInteger(value)) return notNumber;
        entries.set(key, { value: String(value), expiresAt: entry?.expiresAt });
        return value;
      }
      case 'DEL':
      case 'UNLINK':
        return words.filter((candidate) => find(candidate) && entries.delete(candidate)).length;
      case 'EXISTS':
        return words.filter((candidate) => find(candidate)).length;
      case 'EXPIRE':
        return expireIn(key, Number(second) * 1000);
      case 'PEXPIRE':
        return expireIn(key, Number(second));
      case 'TTL': {
        const entry = find(key);
        return !entry ? -2 : entry.expiresAt === undefined ? -1 : Math.ceil((entry.expiresAt - now()) / 1000);
      }
      case 'HSET':
      case 'HMSET': {
        const map = hash(key);
        if (!map) return wrongType;
        let added = 0;
        for (let index = 1; index + 1 < words.length; index += 2) {
          const field = words[index] ?? '';
          if (!map.has(field)) added += 1;
          map.set(field, words[index + 1] ?? '');
        }
        return name.toUpperCase() === 'HSET' ? added : ok;
      }
      case 'HINCRBY': {
        const map = hash(key);
        if (!map) return wrongType;
        const value = Number(map.get(second) ?? '0') + Number(third);
        if (!Number.isSafeInteger(value)) return notNumber;
        map.set(second, String(value));
        return value;
      }
      case 'HGET': {
        const map = existingHash(key);
        return map === 'wrong' ? wrongType : (map.get(second) ?? null);
      }
      case 'HGETALL': {
        const map = existingHash(key);
        return map === 'wrong' ? wrongType : [...map].flat();
      }
      case 'HDEL': {
        const map = existingHash(key);
        if (map === 'wrong') return wrongType;
        const removed = words.slice(1).filter((field) => map.delete(field)).length;
        dropIfEmpty(key);
        return removed;
      }
      case 'FLUSHALL':
      case 'FLUSHDB':
        entries.clear();
        return ok;
      case 'DBSIZE':
        return [...entries.keys()].filter((candidate) => find(candidate)).length;
      default:
        return { error: `ERR unknown command '${name}': this small server knows strings, hashes and expiry` };
    }
  };
}
