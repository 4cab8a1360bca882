/** What one istiod says of an object (`/debug/config_distribution`). */
export interface IstiodAnswer {
  readonly istiod: string;
  readonly inForce?: { readonly generation: number; readonly resourceVersion: string };
  readonly problems: readonly { readonly path: string; readonly message: string }[];
  readonly proxies: readonly { readonly proxy: string; readonly state: 'delivered' | 'pending' | 'rejected' }[];
}

/** How far a version has come. */
export interface DeliveryState {
  /** Every istiod makes configuration from this version or a later one. */
  readonly inForce: boolean;
  /** Share of the proxies that have confirmed it, 1 where there are none. */
  readonly share: number;
  /** For people. */
  readonly line: string;
  /** Why istiod ignores the object. */
  readonly problem: string | undefined;
}

/**
 * Adds up the answers of all istiods over time: a proxy that has confirmed everything once after the version was in force has it, whatever is on its way
 * to it later.
 */
export function createDelivery(wanted: {
  readonly generation: number;
  readonly resourceVersion?: string;
  /** Only this proxy, as `pod.namespace`. */
  readonly proxy?: string;
}): { readonly take: (answers: readonly IstiodAnswer[]) => DeliveryState } {
  const delivered = new Set<string>();
  const reached = ({ inForce }: IstiodAnswer): boolean =>
    inForce !== undefined &&
    inForce.generation >= wanted.generation &&
    (wanted.resourceVersion === undefined || Number(inForce.resourceVersion) >= Number(wanted.resourceVersion));
  return {
    take: (answers) => {
      const current = new Set<string>();
      let rejected = 0;
      for (const answer of answers) {
        for (const { proxy, state } of answer.proxies) {
          if (wanted.proxy !== undefined && proxy !== wanted.proxy) continue;
          current.add(proxy);
          if (state === 'rejected') rejected++;
          if (state === 'delivered' && reached(answer)) delivered.add(proxy);
        }
      }
      const arrived = [...current].filter((proxy) => delivered.has(proxy)).length;
      const late = answers.filter((answer) => !reached(answer)).map(({ istiod }) => istiod);
      // Only of the version that is waited for: an older one may have been refused.
      const problem = answers.filter(reached).flatMap(({ problems }) => problems)[0];
      const parts = [
        `${arrived} of ${current.size} proxies have confirmed it`,
        ...(rejected > 0 ? [`${rejected} refused what istiod sent`] : []),
        ...(late.length > 0 ? [`${late.join(', ')} has not seen it yet`] : []),
      ];
      const named = wanted.proxy !== undefined && current.size === 0 ? [`${wanted.proxy} is not connected`] : [];
      return {
        inForce: late.length === 0,
        share: current.size === 0 ? (wanted.proxy === undefined ? 1 : 0) : arrived / current.size,
        line: [...named, ...parts].join(', '),
        problem: problem && `${problem.path}: ${problem.message}`,
      };
    },
  };
}
