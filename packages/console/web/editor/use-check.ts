import { useEffect, useState } from 'preact/hooks';
import type { CheckResult } from '../../src/api.ts';
import { isAbort, messageOf, sendJson } from '../state/request.ts';

/** What the check says of a text: `pending` while it is asked or the person still types. */
export interface Checked {
  readonly pending: boolean;
  readonly result: CheckResult | undefined;
  readonly problem: string | undefined;
}

/** Checks a text a moment after it stopped changing; an older answer never follows a newer text. */
export function useCheck(yaml: string | undefined, wait = 350): Checked {
  const [checked, setChecked] = useState<Checked>({ pending: true, result: undefined, problem: undefined });
  useEffect(() => {
    if (yaml === undefined || yaml.trim() === '') {
      setChecked({ pending: false, result: undefined, problem: undefined });
      return;
    }
    const abort = new AbortController();
    setChecked((before) => ({ ...before, pending: true }));
    const timer = setTimeout(async () => {
      try {
        const result = await sendJson<CheckResult>('POST', 'config/check', { yaml }, abort.signal);
        setChecked({ pending: false, result, problem: undefined });
      } catch (error) {
        if (!isAbort(error)) setChecked({ pending: false, result: undefined, problem: messageOf(error) });
      }
    }, wait);
    return () => {
      clearTimeout(timer);
      abort.abort();
    };
  }, [yaml, wait]);
  return checked;
}
