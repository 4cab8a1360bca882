import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** A certificate, its key and its number, in files and as text. */
export interface Issued {
  readonly certificate: string;
  readonly key: string;
  readonly certificateFile: string;
  readonly keyFile: string;
}

/** A certificate authority of openssl in a folder of its own, for tests of TLS with files. */
export class TestAuthority {
  readonly #folder: string;
  readonly root: string;
  readonly rootFile: string;

  constructor(folder: string, name: string) {
    this.#folder = join(folder, name);
    mkdirSync(this.#folder, { recursive: true });
    writeFileSync(join(this.#folder, 'index.txt'), '');
    writeFileSync(
      join(this.#folder, 'ca.cnf'),
      ['[ca]', 'default_ca=own', '[own]', 'database=index.txt', 'default_md=sha256', 'default_crl_days=2', ''].join(
        '\n',
      ),
    );
    this.#openssl(
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-nodes',
      '-days',
      '2',
    )(
      ...['-keyout', 'ca.key', '-out', 'ca.pem', '-subj', `/CN=${name}`],
      ...['-addext', 'basicConstraints=critical,CA:TRUE', '-addext', 'keyUsage=critical,keyCertSign,cRLSign'],
    );
    this.rootFile = join(this.#folder, 'ca.pem');
    this.root = this.#read('ca.pem');
  }

  /** Signs a certificate; `names` as openssl writes them: `DNS:a.example`, `IP:127.0.0.1`, `URI:spiffe://...`. */
  issue(commonName: string, names: readonly string[]): Issued {
    this.#openssl(
      'req',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-nodes',
    )(...['-keyout', `${commonName}.key`, '-out', `${commonName}.csr`, '-subj', `/CN=${commonName}`]);
    writeFileSync(
      join(this.#folder, `${commonName}.ext`),
      `subjectAltName=${names.join(',')}\nkeyUsage=digitalSignature,keyEncipherment\n`,
    );
    this.#openssl(
      'x509',
      '-req',
      '-in',
      `${commonName}.csr`,
      '-CA',
      'ca.pem',
      '-CAkey',
      'ca.key',
      '-CAcreateserial',
    )(...['-days', '2', '-extfile', `${commonName}.ext`, '-out', `${commonName}.pem`]);
    return {
      certificate: this.#read(`${commonName}.pem`),
      key: this.#read(`${commonName}.key`),
      certificateFile: join(this.#folder, `${commonName}.pem`),
      keyFile: join(this.#folder, `${commonName}.key`),
    };
  }

  /** File with a list of revoked certificates: that one, or none. */
  revocations(revoked?: Issued): string {
    const ca = ['-config', 'ca.cnf', '-keyfile', 'ca.key', '-cert', 'ca.pem'];
    if (revoked) this.#openssl('ca')(...ca, '-revoke', revoked.certificateFile);
    const name = revoked ? 'revoked.crl' : 'empty.crl';
    this.#openssl('ca')(...ca, '-gencrl', '-out', name);
    return join(this.#folder, name);
  }

  #openssl(...first: readonly string[]): (...rest: readonly string[]) => void {
    return (...rest) => {
      execFileSync('openssl', [...first, ...rest], { cwd: this.#folder, stdio: 'ignore' });
    };
  }

  #read(name: string): string {
    return readFileSync(join(this.#folder, name), 'utf8');
  }
}
