import { randomInt } from 'node:crypto';
import { addressFrom, portFrom } from '../environment.ts';
import { connect, serve } from '../rpc.ts';

const catalogue = connect('ProductCatalogService', addressFrom(process.env, 'PRODUCT_CATALOG_SERVICE_ADDR'));
const most = 5;

await serve('RecommendationService', portFrom(process.env, 8080), {
  ListRecommendations: async ({ productIds }) => {
    const { products } = await catalogue.ListProducts({});
    const others = products.map(({ id }) => id).filter((id) => !productIds.includes(id));
    for (let last = others.length - 1; last > 0; last--) {
      const other = randomInt(last + 1);
      [others[last], others[other]] = [others[other] ?? '', others[last] ?? ''];
    }
    return { productIds: others.slice(0, most) };
  },
});
