import type { FlagSpec, ParsedArguments } from '@istio-ts/command-line/arguments';
import { UsageError } from '@istio-ts/command-line/arguments';
import type { AuthStrategy } from './api.ts';

/** How a console runs. */
export interface Settings {
  readonly host: string;
  readonly port: number;
  /** A further port with nothing but `/metrics`; undefined: none. */
  readonly metricsPort: number | undefined;
  /** PEM files of the server's certificate and key; undefined: plain HTTP. */
  readonly tls: { readonly certFile: string; readonly keyFile: string } | undefined;
  readonly prometheusUrl: string;
  readonly tracingUrl: string;
  readonly grafanaUrl: string;
  readonly lokiUrl: string;
  readonly istioNamespace: string;
  readonly revision: string;
  readonly strategy: AuthStrategy;
  readonly readOnly: boolean;
  /** The page that `/` opens: of the console, or of the dashboards where it stands in for Grafana. */
  readonly page: string;
  readonly cluster: string;
  /** Folders of the pages and of the dashboards; undefined: beside the program. */
  readonly pagesDir: string | undefined;
  readonly dashboardsDir: string | undefined;
  readonly kubeconfig: string | undefined;
  readonly context: string | undefined;
}

/** Environment variable of a flag: `--prometheus-url` is `CONSOLE_PROMETHEUS_URL`. */
const variable = (flag: string): string => `CONSOLE_${flag.replaceAll('-', '_').toUpperCase()}`;

const flag = (name: string, kind: FlagSpec['kind'], value: string, help: string): FlagSpec => ({
  name,
  kind,
  default: value,
  help: `${help} (${variable(name)})`,
});

/** The flags of `console server`. Each may be set by an environment variable too; the flag wins. */
export function consoleFlags(env: Readonly<Record<string, string | undefined>>): readonly FlagSpec[] {
  const from = (name: string, kind: FlagSpec['kind'], value: string, help: string): FlagSpec =>
    flag(name, kind, env[variable(name)] ?? value, help);
  const namespace = env.CONSOLE_ISTIO_NAMESPACE ?? 'istio-system';
  return [
    from('host', 'text', '0.0.0.0', 'Address to listen on'),
    from('port', 'integer', '20001', 'Port to listen on'),
    from('metrics-port', 'integer', '0', 'Further port with the metrics only; 0: they are on --port alone'),
    from('tls-cert-file', 'text', '', 'Certificate (PEM); with --tls-key-file the console speaks HTTPS'),
    from('tls-key-file', 'text', '', 'Private key (PEM)'),
    from('prometheus-url', 'text', `http://prometheus.${namespace}:9090`, 'Where metrics are asked for'),
    from('tracing-url', 'text', `http://tracing.${namespace}/jaeger`, 'Where Jaeger’s query API answers'),
    from('grafana-url', 'text', `http://grafana.${namespace}:3000`, 'Where Grafana answers'),
    from('loki-url', 'text', `http://loki.${namespace}:3100`, 'Where Loki answers'),
    from('istio-namespace', 'text', 'istio-system', 'Namespace of the control plane'),
    from('revision', 'text', 'default', 'Revision of the control plane whose configuration is checked'),
    from(
      'auth-strategy',
      'text',
      'token',
      'Who may use the console: token (of Kubernetes) or anonymous (read only for who gives no token)',
    ),
    from('read-only', 'boolean', 'false', 'Refuse every change, whoever asks'),
    from('page', 'text', '', 'Page that / opens, for example dashboards'),
    from('cluster', 'text', 'Kubernetes', 'Name of the cluster for people'),
    from('pages-dir', 'text', '', 'Folder of the pages instead of the program’s own'),
    from('dashboards-dir', 'text', '', 'Folder of dashboards (JSON of Grafana) instead of the program’s own'),
    from('kubeconfig', 'text', '', 'Kubernetes configuration file, outside of a cluster'),
    from('context', 'text', '', 'Context of the kubeconfig'),
  ];
}

function url(args: ParsedArguments, name: string): string {
  const text = args.text(name).replace(/\/+$/, '');
  let parsed: URL;
  try {
    parsed = new URL(text);
  } catch {
    throw new UsageError(`--${name}: "${text}" is not a URL, for example http://prometheus.istio-system:9090`);
  }
  if (parsed.protocol !== 'http:' && parsed.protocol !== 'https:')
    throw new UsageError(`--${name}: "${text}" begins neither with http:// nor with https://`);
  return text;
}

/** Reads the flags. Raises UsageError for values that cannot be used. */
export function readSettings(args: ParsedArguments): Settings {
  const strategy = args.text('auth-strategy');
  if (strategy !== 'token' && strategy !== 'anonymous')
    throw new UsageError(`--auth-strategy: "${strategy}" is neither token nor anonymous`);
  const port = args.integer('port');
  if (port < 0 || port > 65535) throw new UsageError(`--port: ${port} is not a port`);
  const metricsPort = args.integer('metrics-port');
  if (metricsPort < 0 || metricsPort > 65535) throw new UsageError(`--metrics-port: ${metricsPort} is not a port`);
  const page = args.text('page');
  if (!/^[a-z]*$/.test(page)) throw new UsageError(`--page: "${page}" is not the name of a page, for example graph`);
  const [certFile, keyFile] = [args.text('tls-cert-file'), args.text('tls-key-file')];
  if ((certFile === '') !== (keyFile === ''))
    throw new UsageError('--tls-cert-file and --tls-key-file belong together: give both');
  const optional = (name: string): string | undefined => args.text(name) || undefined;
  return {
    host: args.text('host'),
    port,
    metricsPort: metricsPort || undefined,
    tls: certFile === '' ? undefined : { certFile, keyFile },
    prometheusUrl: url(args, 'prometheus-url'),
    tracingUrl: url(args, 'tracing-url'),
    grafanaUrl: url(args, 'grafana-url'),
    lokiUrl: url(args, 'loki-url'),
    istioNamespace: args.text('istio-namespace'),
    revision: args.text('revision') || 'default',
    strategy,
    readOnly: args.boolean('read-only'),
    page,
    cluster: args.text('cluster'),
    pagesDir: optional('pages-dir'),
    dashboardsDir: optional('dashboards-dir'),
    kubeconfig: optional('kubeconfig'),
    context: optional('context'),
  };
}
