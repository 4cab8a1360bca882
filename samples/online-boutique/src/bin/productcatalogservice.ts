import { setTimeout as delay } from 'node:timers/promises';
import { status } from '@grpc/grpc-js';
import { products, search } from '../catalogue.ts';
import { durationMs, portFrom } from '../environment.ts';
import { log } from '../log.ts';
import { RpcError, serve } from '../rpc.ts';

// EXTRA_LATENCY makes every answer late: the tutorials use it to show a bad release.
const latencyMs = process.env.EXTRA_LATENCY ? durationMs(process.env.EXTRA_LATENCY) : 0;
if (latencyMs > 0) log('info', `every answer is ${latencyMs} ms late (EXTRA_LATENCY)`);
const late = () => (latencyMs > 0 ? delay(latencyMs) : Promise.resolve());

await serve('ProductCatalogService', portFrom(process.env, 3550), {
  ListProducts: async () => {
    await late();
    return { products };
  },
  GetProduct: async ({ id }) => {
    await late();
    const product = products.find((candidate) => candidate.id === id);
    if (!product) throw new RpcError(status.NOT_FOUND, `no product has the id '${id}'`);
    return product;
  },
  SearchProducts: async ({ query }) => {
    await late();
    return { results: search(products, query) };
  },
});
