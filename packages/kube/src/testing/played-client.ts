import type { KubeClient } from '../client.ts';

/** What a test plays of a client; what it answers is the test's to know. */
export type PlayedMethods = { readonly [Name in keyof KubeClient]?: (...given: never[]) => unknown };

/** A client of which a test plays the methods that are asked; any other raises an error that names it. */
export function playedClient(methods: PlayedMethods): KubeClient {
  const played: object = { ...methods };
  return new Proxy(played as KubeClient, {
    get: (client, name) => {
      if (Object.hasOwn(client, name)) return Reflect.get(client, name);
      // Whoever awaits the client itself asks for this.
      if (typeof name === 'symbol' || name === 'then') return undefined;
      return () => {
        throw new Error(`the test plays no ${name} of the client`);
      };
    },
  });
}
