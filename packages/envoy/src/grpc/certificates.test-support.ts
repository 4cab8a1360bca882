import 'reflect-metadata';
import { webcrypto } from 'node:crypto';
import * as x509 from '@peculiar/x509';

/** PEM texts of a root, a server's and a client's certificate, for tests only. */
export interface TestCertificates {
  readonly root: string;
  readonly serverKey: string;
  readonly serverCert: string;
  readonly clientKey: string;
  readonly clientCert: string;
}

/** Makes a fresh root with a certificate for istiod's DNS names (and localhost) and one for a client's SPIFFE identity. */
export async function makeTestCertificates(clientUri: string): Promise<TestCertificates> {
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
  const generate = () =>
    webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']) as Promise<webcrypto.CryptoKeyPair>;
  const [rootKeys, serverKeys, clientKeys] = await Promise.all([generate(), generate(), generate()]);
  const notBefore = new Date(Date.now() - 3_600_000);
  const notAfter = new Date(Date.now() + 86_400_000);
  const root = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: '01',
    name: 'O=cluster.local',
    notBefore,
    notAfter,
    keys: rootKeys,
    signingAlgorithm: algorithm,
    extensions: [
      new x509.BasicConstraintsExtension(true, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign, true),
    ],
  });
  const issue = (serialNumber: string, keys: webcrypto.CryptoKeyPair, names: x509.JsonGeneralNames) =>
    x509.X509CertificateGenerator.create({
      serialNumber,
      subject: 'O=test',
      issuer: root.subject,
      notBefore,
      notAfter,
      publicKey: keys.publicKey,
      signingKey: rootKeys.privateKey,
      signingAlgorithm: algorithm,
      extensions: [new x509.SubjectAlternativeNameExtension(names)],
    });
  const server = await issue('02', serverKeys, [
    { type: 'dns', value: 'istiod.istio-system.svc' },
    { type: 'dns', value: 'localhost' },
  ]);
  const client = await issue('03', clientKeys, [{ type: 'url', value: clientUri }]);
  const pem = async (key: webcrypto.CryptoKey): Promise<string> =>
    x509.PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', key), 'PRIVATE KEY');
  return {
    root: root.toString('pem'),
    serverKey: await pem(serverKeys.privateKey),
    serverCert: server.toString('pem'),
    clientKey: await pem(clientKeys.privateKey),
    clientCert: client.toString('pem'),
  };
}
