import { memoryStore, redisStore } from '../cart-store.ts';
import { portFrom } from '../environment.ts';
import { log } from '../log.ts';
import { serve } from '../rpc.ts';

const address = process.env.REDIS_ADDR;
log('info', address ? `carts are kept in Redis at ${address}` : 'REDIS_ADDR is not set: carts are kept in memory');
const store = address ? redisStore(address) : memoryStore();

await serve('CartService', portFrom(process.env, 7070), {
  AddItem: async ({ userId, item }) => {
    await store.add(userId, item);
    return {};
  },
  GetCart: async ({ userId }) => ({ userId, items: await store.items(userId) }),
  EmptyCart: async ({ userId }) => {
    await store.clear(userId);
    return {};
  },
});
