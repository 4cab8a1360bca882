import type { Product } from './contract.ts';

const usd = (units: number, cents: number) => ({ currencyCode: 'USD', units, nanos: cents * 10_000_000 });

/** What the shop sells. The identifiers have the form that load generators of the public sample expect. */
export const products: readonly Product[] = [
  {
    id: 'OLJCESPC7Z',
    name: 'Sunglasses',
    description: 'Dark lenses in a light frame, for bright days.',
    picture: '/static/img/sunglasses.svg',
    priceUsd: usd(19, 99),
    categories: ['accessories'],
  },
  {
    id: '66VCHSJNUP',
    name: 'Tank Top',
    description: 'Soft cotton without sleeves.',
    picture: '/static/img/tank-top.svg',
    priceUsd: usd(18, 99),
    categories: ['clothing', 'tops'],
  },
  {
    id: '1YMWWN1N4O',
    name: 'Watch',
    description: 'Three hands and nothing that needs charging.',
    picture: '/static/img/watch.svg',
    priceUsd: usd(109, 99),
    categories: ['accessories'],
  },
  {
    id: 'L9ECAV7KIM',
    name: 'Loafers',
    description: 'Shoes to slip into on the way out.',
    picture: '/static/img/loafers.svg',
    priceUsd: usd(89, 99),
    categories: ['footwear'],
  },
  {
    id: '2ZYFJ3GM2N',
    name: 'Hairdryer',
    description: 'Quiet, with two speeds and a cold shot.',
    picture: '/static/img/hairdryer.svg',
    priceUsd: usd(24, 99),
    categories: ['hair', 'beauty'],
  },
  {
    id: '0PUK6V6EV0',
    name: 'Candle Holder',
    description: 'Holds one candle, steadily.',
    picture: '/static/img/candle-holder.svg',
    priceUsd: usd(18, 99),
    categories: ['decor', 'home'],
  },
  {
    id: 'LS4PSXUNUM',
    name: 'Salt & Pepper Shakers',
    description: 'A pair for the table.',
    picture: '/static/img/shakers.svg',
    priceUsd: usd(18, 49),
    categories: ['kitchen'],
  },
  {
    id: '9SIQT8TOJO',
    name: 'Bamboo Glass Jar',
    description: 'Keeps a litre of whatever you cook with dry.',
    picture: '/static/img/jar.svg',
    priceUsd: usd(5, 49),
    categories: ['kitchen'],
  },
  {
    id: '6E92ZMYYFZ',
    name: 'Mug',
    description: 'A mug with a wide handle.',
    picture: '/static/img/mug.svg',
    priceUsd: usd(8, 99),
    categories: ['kitchen'],
  },
];

/** Products whose name or description contains the query, whatever its case. */
export function search(catalogue: readonly Product[], query: string): readonly Product[] {
  const wanted = query.toLowerCase();
  return catalogue.filter(
    ({ name, description }) => name.toLowerCase().includes(wanted) || description.toLowerCase().includes(wanted),
  );
}
