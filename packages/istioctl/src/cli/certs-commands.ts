import { type Command, Option } from 'commander';
import { type CommandGroup, collect, experimentalCommand, parentCommand } from './program.ts';

const folder = (command: Command): Command =>
  command.option('--dir <folder>', 'where root-key.pem and root-cert.pem are, and a folder for each cluster', '.');
const making = (command: Command, ttl: string): Command =>
  folder(command)
    .option('--org <name>', 'organisation in the subject', 'Istio')
    .option('--cn <name>', 'common name in the subject')
    .option('--ttl <duration>', 'how long the certificate is good', ttl)
    .addOption(
      new Option('--key <algorithm>', 'kind of the key')
        .choices(['p256', 'p384', 'rsa2048', 'rsa4096'])
        .default('p256'),
    )
    .option('--force', 'replace files that are there');

/** experimental certs: root and intermediate certificates for meshes whose operators bring their own. */
export const certsCommands: CommandGroup = (program, act) => {
  const load = () => import('../certs/certs.ts');
  const certs = parentCommand(
    experimentalCommand(program),
    'certs',
    'make root and intermediate certificates to plug into meshes',
  );
  making(certs.command('root-ca').description('make a root: root-key.pem and root-cert.pem'), '87600h')
    .addHelpText('after', '\nExamples:\n  istioctl x certs root-ca --org Example --ttl 87600h')
    .action(act(async (session, flags) => (await load()).runRootCa(session, flags)));
  making(
    certs
      .command('cacerts')
      .argument('<cluster>', 'name of the cluster')
      .description(
        "make an intermediate under the root: ca-key.pem, ca-cert.pem, cert-chain.pem and root-cert.pem in the cluster's folder",
      ),
    '17520h',
  )
    .option(
      '--overlap <file>',
      'further roots for root-cert.pem: those in force, while they are replaced; may be given several times',
      collect,
      [],
    )
    .option('--secret', 'print the Secret cacerts too, for kubectl apply')
    .addHelpText(
      'after',
      `
Keep root-key.pem away from the cluster: nothing in the mesh needs it.

Examples:
  istioctl x certs cacerts west
  istioctl x certs cacerts west --secret | kubectl apply -f -
  istioctl x certs cacerts west --overlap old/root-cert.pem --secret --force | kubectl apply -f -`,
    )
    .action(act(async (session, flags, cluster) => (await load()).runCacerts(session, flags, cluster)));
  folder(
    certs
      .command('crl')
      .argument('<cluster>', 'name of the cluster')
      .description("make ca-crl.pem in the cluster's folder: what its intermediate and the root revoke"),
  )
    .option(
      '--revoke <file>',
      'certificate that the intermediate or the root signed; several are possible',
      collect,
      [],
    )
    .option('--ttl <duration>', 'how long the list is good; proxies refuse everybody after that', '720h')
    .addHelpText('after', '\nExamples:\n  istioctl x certs crl west --revoke leaf.pem')
    .action(act(async (session, flags, cluster) => (await load()).runRevocationList(session, flags, cluster)));
};
