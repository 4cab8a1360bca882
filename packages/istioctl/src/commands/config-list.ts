import { userDefaults } from '../cli/defaults.ts';
import { formatFrom, structured } from '../cli/output.ts';
import type { Session } from '../cli/session.ts';
import { table } from '../cli/table.ts';

/** `istioctl experimental config list`. */
export async function runConfigList(session: Session, flags: { readonly output: string }): Promise<number> {
  const format = formatFrom(flags.output, ['table', 'json', 'yaml']);
  const defaults = userDefaults(session.env);
  if (format === 'short')
    session.out(
      table(
        ['FLAG', 'VALUE', 'FROM'],
        defaults.map((entry) => [entry.flag, entry.value, entry.from]),
      ),
    );
  else
    session.out(
      structured(
        defaults.map(({ flag, value, from }) => ({ flag, value, from })),
        format,
      ),
    );
  return 0;
}
