import type { CartItem } from './contract.ts';
import { createRedisClient } from './redis-client.ts';

/** Where carts are kept. */
export interface CartStore {
  add(user: string, item: CartItem): Promise<void>;
  items(user: string): Promise<readonly CartItem[]>;
  clear(user: string): Promise<void>;
}

const daySeconds = 86_400;

/** Carts in Redis: one hash per user, product to quantity, forgotten after a day without change. */
export function redisStore(address: string): CartStore {
  const [host = 'localhost', port = '6379'] = address.split(':');
  const redis = createRedisClient({ host, port: Number(port) });
  const key = (user: string) => `cart:${user}`;
  return {
    add: async (user, { productId, quantity }) => {
      await redis.command(['HINCRBY', key(user), productId, String(quantity)]);
      await redis.command(['EXPIRE', key(user), String(daySeconds)], true);
    },
    items: async (user) => {
      const reply = await redis.command(['HGETALL', key(user)], true);
      const words = Array.isArray(reply) ? reply.map(String) : [];
      return words.flatMap((productId, index) =>
        index % 2 === 0 ? [{ productId, quantity: Number(words[index + 1]) }] : [],
      );
    },
    clear: async (user) => {
      await redis.command(['DEL', key(user)], true);
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
