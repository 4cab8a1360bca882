import type { KubeClient } from '@istio-ts/kube';
import { findErrors } from './log-errors.ts';
import { redactText } from './redact.ts';
import type { BugReportSettings } from './settings.ts';
import type { ContainerTarget } from './targets.ts';
import type { Task } from './task.ts';

/** Most that is taken of one log, in bytes: of a longer one its end. */
const maxLogBytes = 32 << 20;

/** The log of a container in the time of the report; `previous`: of the container before it was started again. */
export function logTask(
  client: KubeClient,
  { namespace, pod, container }: ContainerTarget,
  file: string,
  settings: BugReportSettings,
  previous = false,
): Task {
  return {
    file,
    what: `log of ${container} in pod ${namespace}/${pod}${previous ? ' before it was started again' : ''}`,
    run: async () => {
      const lines: string[] = [];
      let first = 0;
      let size = 0;
      let dropped = 0;
      const stream = await client.logs(namespace, pod, {
        container,
        previous,
        timestamps: true,
        ...(settings.tail !== undefined && { tailLines: settings.tail }),
        ...(settings.start && { sinceTime: settings.start.toISOString() }),
      });
      for await (const line of stream) {
        if (Date.parse(line.slice(0, line.indexOf(' '))) > settings.end.getTime()) break;
        lines.push(line);
        size += line.length + 1;
        while (size > maxLogBytes && first < lines.length) {
          size -= (lines[first]?.length ?? 0) + 1;
          lines[first++] = '';
          dropped++;
        }
      }
      const kept = first === 0 ? lines : lines.slice(first);
      if (kept.length === 0) return undefined;
      return {
        content: redactText(`${kept.join('\n')}\n`),
        findings: findErrors(kept, { critical: settings.critical, ignored: settings.ignored }),
        ...(dropped > 0 && { note: `its first ${dropped} lines are left out` }),
      };
    },
  };
}
