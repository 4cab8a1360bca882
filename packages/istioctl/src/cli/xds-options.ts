import { type Command, Option } from 'commander';
import { revisionOption } from './program.ts';

/** Flags of the commands that may ask istiod over xDS instead of through a port-forward. */
export interface XdsFlags {
  readonly xdsAddress?: string;
  readonly xdsLabel?: string;
  readonly xdsPort: string;
  readonly authority?: string;
  readonly certDir?: string;
  readonly insecure?: boolean;
  readonly plaintext?: boolean;
  readonly timeout: string;
  readonly revision?: string;
}

/** Adds `--xds-address` and what belongs to it, `--timeout` and `-r` (cli.md, proxy-status). */
export function xdsOptions(command: Command): Command {
  return command
    .option('--xds-address <address>', 'HOST[:PORT] of an istiod to ask over xDS')
    .option('--xds-label <labels>', 'labels of the istiod pods to ask over xDS')
    .addOption(new Option('--xds-port <port>', "port of istiod's xDS service").default('15012'))
    .option('--authority <name>', "name that istiod's certificate must carry")
    .option('--cert-dir <folder>', 'folder with cert-chain.pem, key.pem and root-cert.pem to connect with')
    .option('--insecure', "do not check istiod's certificate")
    .option('--plaintext', 'connect without TLS')
    .addOption(new Option('--timeout <duration>', 'how long to wait for answers, for example 30s').default('30s'))
    .addOption(revisionOption());
}
