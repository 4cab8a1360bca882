import type { KubeClient } from '@istio-ts/kube';
import { debugPort, monitoringPort } from '@istio-ts/envoy-dump/ask/control-plane';
import { podHttp } from '@istio-ts/envoy-dump/ask/pod-http';
import { logTask } from './log-task.ts';
import { redactText } from './redact.ts';
import type { BugReportSettings } from './settings.ts';
import type { PodTarget } from './targets.ts';
import type { Task } from './task.ts';

/** What istiod is asked, by file. Names are those of its debug endpoints (istio-surface.md). */
const istiodPages: readonly (readonly [file: string, port: number, path: string])[] = [
  ['debug/syncz.json', debugPort, '/debug/syncz'],
  ['debug/adsz.json', debugPort, '/debug/adsz'],
  ['debug/registryz.json', debugPort, '/debug/registryz'],
  ['debug/endpointz.json', debugPort, '/debug/endpointz'],
  ['debug/instancesz.json', debugPort, '/debug/instancesz'],
  ['debug/configz.json', debugPort, '/debug/configz'],
  ['debug/problemsz.json', debugPort, '/debug/problemsz'],
  ['debug/cachez.json', debugPort, '/debug/cachez'],
  ['debug/clusterz.json', debugPort, '/debug/clusterz'],
  ['debug/mesh.json', debugPort, '/debug/mesh'],
  ['metrics.txt', monitoringPort, '/metrics'],
  ['version.txt', monitoringPort, '/version'],
];

/** What Envoy is asked. */
const envoyPages: readonly (readonly [file: string, path: string])[] = [
  ['config_dump.json', '/config_dump?include_eds'],
  ['certs.json', '/certs'],
  ['clusters.txt', '/clusters'],
  ['listeners.txt', '/listeners'],
  ['memory.json', '/memory'],
  ['server_info.json', '/server_info'],
  ['stats.prom', '/stats/prometheus'],
  ['runtime.json', '/runtime'],
];

const netstat =
  'ss -tanp 2>/dev/null || netstat -tanp 2>/dev/null || { echo "/proc/net/tcp:"; cat /proc/net/tcp; echo "/proc/net/tcp6:"; cat /proc/net/tcp6 2>/dev/null; }';
const coreFolder = '/var/lib/istio';

/** All files about one pod of the mesh. */
export function podTasks(client: KubeClient, pod: PodTarget, settings: BugReportSettings): readonly Task[] {
  const { namespace, name } = pod;
  const folder = `${pod.role === 'proxy' ? 'proxies' : pod.role}/${namespace}/${name}`;
  const where = `pod ${namespace}/${name}`;
  const logs = pod.containers.flatMap((container) => {
    const file = `${folder}/${container.container}`;
    const current = logTask(client, container, `${file}.log`, settings);
    return container.restarted
      ? [current, logTask(client, container, `${file}.previous.log`, settings, true)]
      : [current];
  });
  const page = (file: string, port: number, path: string): Task => ({
    file: `${folder}/${file}`,
    what: `${path} of ${where}`,
    run: async () => ({ content: redactText(await podHttp(client, { namespace, name }, port, path)) }),
  });
  const isUp = pod.containers.some(({ running }) => running);
  if (!isUp) return logs;
  if (pod.role === 'istiod') return [...logs, ...istiodPages.map(([file, port, path]) => page(file, port, path))];
  if (pod.role !== 'proxy') return logs;
  return [
    ...logs,
    ...(settings.skip.proxyDebug ? [] : envoyPages.map(([file, path]) => page(file, settings.adminPort, path))),
    ...(settings.skip.netstat ? [] : [netstatTask(client, namespace, name, folder)]),
    ...(settings.skip.coredumps ? [] : [coreTask(client, namespace, name, folder)]),
  ];
}

function netstatTask(client: KubeClient, namespace: string, name: string, folder: string): Task {
  return {
    file: `${folder}/netstat.txt`,
    what: `connections of pod ${namespace}/${name}`,
    run: async () => {
      const { stdout, stderr, exitCode } = await client.exec(namespace, name, 'istio-proxy', ['sh', '-c', netstat]);
      if (exitCode !== 0 && stdout === '') throw new Error(stderr.trim() || `the command ended with ${exitCode}`);
      return { content: stdout };
    },
  };
}

/** The newest core dump of Envoy, packed; most pods have none. */
function coreTask(client: KubeClient, namespace: string, name: string, folder: string): Task {
  const command = `f=$(ls -t ${coreFolder}/core* ${coreFolder}/data/core* 2>/dev/null | head -n 1); [ -z "$f" ] || gzip -c "$f" | base64`;
  return {
    file: `${folder}/core.gz`,
    what: `core dump of Envoy in pod ${namespace}/${name}`,
    run: async () => {
      const { stdout } = await client.exec(namespace, name, 'istio-proxy', ['sh', '-c', command]);
      return stdout.trim() === '' ? undefined : { content: Buffer.from(stdout, 'base64') };
    },
  };
}
