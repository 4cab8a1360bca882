import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  randomBytes,
  randomInt,
  randomUUID,
  scryptSync,
} from 'node:crypto';
import { FunctionError } from './errors.ts';
import { type FunctionTable, fn } from './functions.ts';

/** Longest random text, in characters. */
const MAX_RANDOM = 1024 * 1024;
const DIGITS = '0123456789';
const LETTERS = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ';
const ASCII = Array.from({ length: 95 }, (_, i) => String.fromCharCode(32 + i)).join('');

const random = (alphabet: string) =>
  fn(['int'], (count) => {
    if (count > MAX_RANDOM) throw new FunctionError(`result would be longer than ${MAX_RANDOM} characters`);
    return Array.from({ length: Math.max(0, count) }, () => alphabet[randomInt(alphabet.length)]).join('');
  });

/** AES-256 in CBC mode; the key is cut or filled with zeros to 32 bytes, the first block of the result is the start vector. */
function encrypt(password: string, text: string): string {
  const start = randomBytes(16);
  const cipher = createCipheriv('aes-256-cbc', keyOf(password), start);
  return Buffer.concat([start, cipher.update(text, 'utf8'), cipher.final()]).toString('base64');
}

function decrypt(password: string, text: string): string {
  const bytes = Buffer.from(text, 'base64');
  if (bytes.length < 32) throw new FunctionError('the text to decrypt is too short');
  try {
    const cipher = createDecipheriv('aes-256-cbc', keyOf(password), bytes.subarray(0, 16));
    return Buffer.concat([cipher.update(bytes.subarray(16)), cipher.final()]).toString('utf8');
  } catch {
    throw new FunctionError('the text cannot be decrypted with this password');
  }
}

function keyOf(password: string): Buffer {
  const key = Buffer.alloc(32);
  Buffer.from(password, 'utf8').copy(key);
  return key;
}

/** The algorithm of the Master Password application, version 3: forms of passwords and the characters of their letters. */
const FORMS: Readonly<Record<string, readonly string[]>> = {
  maximum: ['anoxxxxxxxxxxxxxxxxx', 'axxxxxxxxxxxxxxxxxno'],
  long: [
    'CvcvnoCvcvCvcv', 'CvcvCvcvnoCvcv', 'CvcvCvcvCvcvno', 'CvccnoCvcvCvcv', 'CvccCvcvnoCvcv', 'CvccCvcvCvcvno', 'CvcvnoCvccCvcv',
    'CvcvCvccnoCvcv', 'CvcvCvccCvcvno', 'CvcvnoCvcvCvcc', 'CvcvCvcvnoCvcc', 'CvcvCvcvCvccno', 'CvccnoCvccCvcv', 'CvccCvccnoCvcv',
    'CvccCvccCvcvno', 'CvcvnoCvccCvcc', 'CvcvCvccnoCvcc', 'CvcvCvccCvccno', 'CvccnoCvcvCvcc', 'CvccCvcvnoCvcc', 'CvccCvcvCvccno',
  ], // biome-ignore format: a table
  medium: ['CvcnoCvc', 'CvcCvcno'],
  short: ['Cvcn'],
  basic: ['aaanaaan', 'aannaaan', 'aaannaaa'],
  pin: ['nnnn'],
};
const CHARACTERS: Readonly<Record<string, string>> = {
  V: 'AEIOU',
  C: 'BCDFGHJKLMNPQRSTVWXYZ',
  v: 'aeiou',
  c: 'bcdfghjklmnpqrstvwxyz',
  A: 'AEIOUBCDFGHJKLMNPQRSTVWXYZ',
  a: 'AEIOUaeiouBCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz',
  n: '0123456789',
  o: "@&%?,=[]_:-+*$#!'^~;()/.",
  x: 'AEIOUaeiouBCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz0123456789!@#$%^&*()',
};

function derivePassword(counter: number, form: string, password: string, user: string, site: string): string {
  const forms = FORMS[form];
  if (forms === undefined) return `cannot find password template ${form}`;
  const scope = 'com.lyndir.masterpassword';
  const counted = (text: string): Buffer => {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(text.length);
    return Buffer.concat([Buffer.from(scope), length, Buffer.from(text)]);
  };
  const key = scryptSync(password, counted(user), 64, { N: 32768, r: 8, p: 2, maxmem: 64 * 1024 * 1024 });
  const number = Buffer.alloc(4);
  number.writeUInt32BE(counter);
  const seed = createHmac('sha256', key)
    .update(Buffer.concat([counted(site), number]))
    .digest();
  const chosen = forms[(seed[0] ?? 0) % forms.length] ?? '';
  return Array.from(chosen, (kind, index) => {
    const characters = CHARACTERS[kind] ?? '';
    return characters[(seed[index + 1] ?? 0) % characters.length] ?? '';
  }).join('');
}

/** Sprig's functions whose results differ from run to run, and those of passwords. */
export const RANDOM_FUNCTIONS: FunctionTable = {
  randAlphaNum: random(LETTERS + DIGITS),
  randAlpha: random(LETTERS),
  randNumeric: random(DIGITS),
  randAscii: random(ASCII),
  randInt: fn(['int', 'int'], (from, to) => {
    if (to <= from) throw new FunctionError('invalid argument to Intn');
    return randomInt(from, to);
  }),
  randBytes: fn(['int'], (count) => {
    if (count > MAX_RANDOM) throw new FunctionError(`result would be longer than ${MAX_RANDOM} bytes`);
    return randomBytes(Math.max(0, count)).toString('base64');
  }),
  shuffle: fn(['string'], (text) => {
    const characters = Array.from(text);
    for (let last = characters.length - 1; last > 0; last--) {
      const other = randomInt(last + 1);
      [characters[last], characters[other]] = [characters[other] ?? '', characters[last] ?? ''];
    }
    return characters.join('');
  }),
  uuidv4: fn([], () => randomUUID()),
  encryptAES: fn(['string', 'string'], encrypt),
  decryptAES: fn(['string', 'string'], decrypt),
  derivePassword: fn(['int', 'string', 'string', 'string', 'string'], derivePassword),
  // Helm answers with nothing unless it is told to ask name servers (`--enable-dns`).
  getHostByName: fn(['string'], () => ''),
};
