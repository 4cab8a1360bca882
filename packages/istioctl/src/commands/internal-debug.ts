import { CliError } from '../cli/failure.ts';
import type { Session } from '../cli/session.ts';
import type { XdsFlags } from '../cli/xds-options.ts';
import { askIstiod } from '../control-plane/ask.ts';

export interface InternalDebugFlags extends XdsFlags {
  readonly all?: boolean;
  readonly list?: boolean;
}

/** `istioctl experimental internal-debug ENDPOINT`: an answer of istiod's debug endpoints, as it is. */
export async function runInternalDebug(
  session: Session,
  flags: InternalDebugFlags,
  endpoint?: string,
): Promise<number> {
  if (endpoint !== undefined && flags.list) throw new CliError('give either an endpoint or --list, not both');
  if (endpoint === undefined && !flags.list)
    throw new CliError('name an endpoint, for example istioctl experimental internal-debug syncz; see all with --list');
  const command = (endpoint ?? 'list').replace(/^\/?(debug\/)?/, '');
  const answers = await askIstiod(session, flags)(command, flags.all && !flags.list ? 'all' : 'first');
  for (const { istiod, body } of answers) {
    if (flags.list) {
      const names = JSON.parse(body) as readonly string[];
      session.out(`${names.join('\n')}\n`);
    } else session.out(`${flags.all ? `${istiod}:\n` : ''}${body.endsWith('\n') ? body : `${body}\n`}`);
  }
  return 0;
}
