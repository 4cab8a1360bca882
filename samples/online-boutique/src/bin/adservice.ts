import { randomInt } from 'node:crypto';
import type { Ad } from '../contract.ts';
import { portFrom } from '../environment.ts';
import { serve } from '../rpc.ts';

const ad = (id: string, text: string): Ad => ({ redirectUrl: `/product/${id}`, text });
const adsByCategory: Readonly<Record<string, readonly Ad[]>> = {
  clothing: [ad('66VCHSJNUP', 'Summer is here: tank tops at a fifth less.')],
  accessories: [ad('1YMWWN1N4O', 'Be on time. Watches, wound up for you.')],
  footwear: [ad('L9ECAV7KIM', 'Shoes that know the way home.')],
  hair: [ad('2ZYFJ3GM2N', 'Wet hair? Not for long.')],
  decor: [ad('0PUK6V6EV0', 'Light up the evening with one candle.')],
  kitchen: [
    ad('9SIQT8TOJO', 'Pasta, rice, secrets: it fits in this jar.'),
    ad('6E92ZMYYFZ', 'Your tea deserves this mug.'),
  ],
};
const allAds = Object.values(adsByCategory).flat();

await serve('AdService', portFrom(process.env, 9555), {
  GetAds: async ({ contextKeys }) => {
    const fitting = contextKeys.flatMap((key) => adsByCategory[key] ?? []);
    const chosen = fitting.length > 0 ? fitting : [allAds[randomInt(allAds.length)], allAds[randomInt(allAds.length)]];
    return { ads: chosen.filter((candidate) => candidate !== undefined) };
  },
});
