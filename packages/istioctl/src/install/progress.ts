import type { KubeObject } from '@istio-ts/kube';

/** How far a command that changes the cluster has come: what to tell when it is interrupted. */
export interface Progress {
  /** So many objects are to be changed; nothing was until then. */
  begin(total: number): void;
  changed(object: KubeObject): void;
  /** What it is waiting for, in words that follow "while". */
  stage(text: string): void;
  /** One line: what was done, and how to go on. */
  describe(): string;
}

/** `verb` is what happens to objects (`applied`), `goOn` what the user may do now. */
export function createProgress(verb: string, goOn: string): Progress {
  let total: number | undefined;
  let count = 0;
  let stage = '';
  return {
    begin: (objects) => {
      total = objects;
    },
    changed: () => {
      count += 1;
    },
    stage: (text) => {
      stage = text;
    },
    describe: () =>
      total === undefined
        ? 'Interrupted: nothing was changed.'
        : `Interrupted${stage === '' ? '' : ` while ${stage}`}: ${count} of ${total} objects were ${verb}. ${goOn}`,
  };
}
