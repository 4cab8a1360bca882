import { Redis } from 'ioredis';
import type { CartItem } from './contract.ts';

/** Where carts are kept. */
export interface CartStore {
  add(user: string, item: CartItem): Promise<void>;
  items(user: string): Promise<readonly CartItem[]>;
  clear(user: string): Promise<void>;
}

const daySeconds = 86_400;

/** Carts in Redis: one hash per user, product to quantity, forgotten after a day without change. */
export function redisStore(address: string): CartStore {
  const [host, port] = address.split(':');
  const redis = new Redis({
    host: host ?? 'localhost',
    port: Number(port ?? 6379),
    maxRetriesPerRequest: 3,
    enableReadyCheck: false,
  });
  redis.on('error', (error) => process.stderr.write(`redis at ${address}: ${error.message}\n`));
  const key = (user: string) => `cart:${user}`;
  return {
    add: async (user, { productId, quantity }) => {
      await redis.hincrby(key(user), productId, quantity);
      await redis.expire(key(user), daySeconds);
    },
    items: async (user) =>
      Object.entries(await redis.hgetall(key(user))).map(([productId, quantity]) => ({
        productId,
        quantity: Number(quantity),
      })),
    clear: async (user) => {
      await redis.del(key(user));
    },
  };
}

/** Carts in this process' memory, where no Redis is configured. */
export function memoryStore(): CartStore {
  const carts = new Map<string, Map<string, number>>();
  return {
    add: async (user, { productId, quantity }) => {
      const cart = carts.get(user) ?? new Map<string, number>();
      cart.set(productId, (cart.get(productId) ?? 0) + quantity);
      carts.set(user, cart);
    },
    items: async (user) => [...(carts.get(user) ?? [])].map(([productId, quantity]) => ({ productId, quantity })),
    clear: async (user) => {
      carts.delete(user);
    },
  };
}
