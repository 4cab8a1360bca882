import { type Counters, CountersUnavailable, type Hit } from './counters.ts';
import { RespError, type RespValue } from './resp.ts';
import { openRespClient, type RespClient, type RespClientOptions } from './resp-client.ts';

export interface RedisCountersOptions {
  readonly redis: RespClientOptions;
  /** A Redis of its own for limits per second (REDIS_PERSECOND). */
  readonly perSecond?: RespClientOptions;
  /** Keys live up to so many seconds longer than their window, each by chance, so that not all go at a time (EXPIRATION_JITTER_MAX_SECONDS). */
  readonly expirationJitterSeconds?: number;
  /** From 0 to 1. */
  readonly random?: () => number;
  /** How many counters that are over their limit this process remembers without asking Redis (LOCAL_CACHE_SIZE_IN_BYTES); default none. */
  readonly rememberedOverLimit?: number;
  /** Not healthy without a connection (REDIS_HEALTH_CHECK_ACTIVE_CONNECTION). */
  readonly needsConnection?: boolean;
  /** Called when `healthy` may have another value. */
  readonly onChange?: () => void;
}

const RECONNECT_MS = 1000;

/** Counters that several processes share: one Redis key for each descriptor and window (`KEY_WINDOWSTART`). */
export function createRedisCounters(options: RedisCountersOptions): Counters {
  const { expirationJitterSeconds = 0, random = Math.random, rememberedOverLimit = 0 } = options;
  const { needsConnection = false, onChange } = options;
  const timers = new Set<NodeJS.Timeout>();
  let isClosed = false;
  const open = (redis: RespClientOptions): RespClient => {
    /** Without requests nobody else would connect. */
    const connect = (): void => {
      if (isClosed || opened.connected) return;
      opened.pipeline([['PING']]).catch(() => {
        if (isClosed || opened.connected) return;
        const timer = setTimeout(() => {
          timers.delete(timer);
          connect();
        }, RECONNECT_MS).unref();
        timers.add(timer);
      });
    };
    const opened = openRespClient({
      ...redis,
      onConnection: (connected) => {
        onChange?.();
        if (!connected && needsConnection) setImmediate(connect);
      },
    });
    if (needsConnection) connect();
    return opened;
  };
  const client = open(options.redis);
  const perSecond = options.perSecond && open(options.perSecond);
  /** Keys that are over their limit, with the least value that they were seen with. */
  const over = new Map<string, number>();
  const keyOf = ({ key, windowStart }: Hit): string => `${key}_${windowStart}`;

  const ask = async (through: RespClient, hits: readonly Hit[]): Promise<readonly number[]> => {
    const commands = hits.flatMap((hit) => {
      const key = keyOf(hit);
      const seconds = hit.windowSeconds + Math.floor(random() * expirationJitterSeconds);
      return [
        ['INCRBY', key, String(hit.hits)],
        ['EXPIRE', key, String(seconds)],
      ];
    });
    let replies: readonly RespValue[];
    try {
      replies = await through.pipeline(commands);
    } catch (error) {
      throw new CountersUnavailable(error instanceof Error ? error.message : String(error));
    }
    return hits.map((_, index) => {
      const reply = replies[2 * index];
      if (typeof reply === 'number') return Math.max(0, reply);
      throw new CountersUnavailable(reply instanceof RespError ? reply.message : 'Redis gave no number');
    });
  };

  const remember = (hit: Hit, value: number): void => {
    if (hit.hits < 0) over.delete(keyOf(hit));
    if (rememberedOverLimit === 0 || value < hit.limit || hit.hits <= 0) return;
    if (over.size >= rememberedOverLimit) {
      const [oldest] = over.keys();
      if (oldest !== undefined) over.delete(oldest);
    }
    over.set(keyOf(hit), value);
  };

  return {
    async add(hits) {
      const values = new Array<number>(hits.length).fill(0);
      const asked: { readonly through: RespClient; readonly hit: Hit; readonly index: number }[] = [];
      for (const [index, hit] of hits.entries()) {
        const known = hit.hits > 0 ? over.get(keyOf(hit)) : undefined;
        if (known !== undefined) values[index] = Math.max(known, hit.limit) + hit.hits;
        else asked.push({ through: hit.windowSeconds === 1 && perSecond ? perSecond : client, hit, index });
      }
      await Promise.all(
        [client, ...(perSecond ? [perSecond] : [])].map(async (through) => {
          const mine = asked.filter((one) => one.through === through);
          if (mine.length === 0) return;
          const results = await ask(
            through,
            mine.map(({ hit }) => hit),
          );
          for (const [at, { hit, index }] of mine.entries()) {
            const value = results[at] ?? 0;
            values[index] = value;
            remember(hit, value);
          }
        }),
      );
      return values;
    },
    get healthy() {
      return !needsConnection || (client.connected && perSecond?.connected !== false);
    },
    close() {
      isClosed = true;
      for (const timer of timers) clearTimeout(timer);
      client.close();
      perSecond?.close();
    },
  };
}
