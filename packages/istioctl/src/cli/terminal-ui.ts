import { createInterface } from 'node:readline/promises';
import type { Step, Ui } from '../install/ui.ts';
import type { Session } from './session.ts';

const spinner = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];

/** The operator's commands on this terminal: lines that are rewritten where that is possible, plain ones elsewhere. */
export function terminalUi(session: Session): Ui {
  const paint = (code: number, text: string) => (session.colours ? `\x1b[${code}m${text}\x1b[0m` : text);
  const interactive = process.stdout.isTTY === true;
  const running = new Set<Step>();

  const step = (title: string): Step => {
    let note = '';
    let frame = 0;
    const draw = () =>
      session.out(`\r\x1b[K${spinner[frame++ % spinner.length]} ${title}${note === '' ? '' : `: ${note}`}`);
    const timer = interactive ? setInterval(draw, 100) : undefined;
    const end = (line: string) => {
      clearInterval(timer);
      running.delete(self);
      session.out(`${interactive ? '\r\x1b[K' : ''}${line}\n`);
    };
    const self: Step = {
      note: (text) => {
        note = text;
      },
      done: (text) => end(`${paint(32, '✔')} ${text ?? title}`),
      fail: (text) => end(`${paint(31, '✘')} ${text}`),
    };
    running.add(self);
    return self;
  };

  return {
    line: (text) => session.out(`${text}\n`),
    warn: (text) => session.err(`${paint(33, '!')} ${text}\n`),
    step,
    interruptible: async (describe, work) => {
      const interrupted = (signal: NodeJS.Signals) => {
        // Whatever was drawn last stays above the line.
        session.err(`${interactive ? '\r\x1b[K' : ''}${describe()}\n`);
        process.exit(signal === 'SIGINT' ? 130 : 143);
      };
      process.on('SIGINT', interrupted);
      process.on('SIGTERM', interrupted);
      try {
        return await work();
      } finally {
        process.off('SIGINT', interrupted);
        process.off('SIGTERM', interrupted);
      }
    },
    confirm: async (question) => {
      // The answer may come from a pipe too (`echo y | istioctl install`); the end of input is a no.
      const terminal = createInterface({ input: process.stdin, output: process.stdout });
      try {
        const ended = new Promise<undefined>((resolve) => terminal.once('close', () => resolve(undefined)));
        // On a terminal the line editor takes Ctrl-C for itself: hand it on.
        terminal.once('SIGINT', () => process.kill(process.pid, 'SIGINT'));
        const answer = await Promise.race([terminal.question(question), ended]);
        if (process.stdin.isTTY !== true) session.out(`${answer ?? ''}\n`);
        if (answer === undefined) session.err('Nobody answered: run it with -y to agree.\n');
        return /^y(es)?$/i.test(answer?.trim() ?? '');
      } finally {
        terminal.close();
      }
    },
  };
}
