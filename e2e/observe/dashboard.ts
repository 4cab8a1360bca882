import { spawn } from 'node:child_process';
import { join } from 'node:path';
import type { Cluster } from '../support/cluster.ts';

const istioctl = join(import.meta.dirname, '..', '..', 'bin', 'istioctl');

/** A page that `istioctl dashboard NAME` has brought to this machine. */
export interface Dashboard {
  readonly url: string;
  readonly close: () => Promise<void>;
}

/** Runs `istioctl dashboard NAME` until it prints the address. Rejects with what it says when it ends before. */
export function openDashboard(cluster: Cluster, name: string): Promise<Dashboard> {
  return new Promise((resolve, reject) => {
    const child = spawn(istioctl, ['dashboard', name, '--browser=false'], { env: cluster.env });
    let said = '';
    const ended = new Promise<void>((done) => child.once('exit', () => done()));
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      said += text;
      const url = /^http:\S+$/m.exec(said)?.[0];
      if (url === undefined) return;
      resolve({
        url,
        close: () => {
          child.kill('SIGTERM');
          return ended;
        },
      });
    });
    child.once('error', reject);
    void ended.then(() => reject(new Error(`istioctl dashboard ${name} ended: ${said}`)));
  });
}
