import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { FunctionError, TemplateExecError, TemplateParseError } from './errors.ts';
import { helmOptions } from './helm.ts';
import { TemplateSet } from './template.ts';
import { readYaml } from './yaml-read.ts';
import { writeYaml } from './yaml-write.ts';

function render(text: string, data: unknown = {}): string {
  const set = new TemplateSet(helmOptions());
  set.parse('t', text);
  return set.execute('t', data);
}

test('a missing key prints "no value" and ends a chain unless Helm’s strictness is asked for', () => {
  const set = new TemplateSet();
  set.parse('t', '{{ .a.b.c }}');
  assert.equal(set.execute('t', {}), '<no value>');
  assert.throws(
    () => render('{{ .a.b }}'),
    /t:1:5: executing "t" at <\.a\.b>: nil pointer evaluating interface \{\}\.b/,
  );
});

test('errors inside an included template name both places', () => {
  assert.throws(
    () => render('{{ define "inner" }}\n  {{ .x.y }}{{ end }}a\n{{ include "inner" . }}'),
    (error: unknown) =>
      error instanceof TemplateExecError &&
      /t:3:3: executing "t" at <include "inner" \.>: error calling include: template: t:2:7: executing "inner" at <\.x\.y>/.test(
        error.message,
      ),
  );
});

test('endless recursion, output and loops stop with an error', () => {
  assert.throws(
    () => render('{{ define "a" }}{{ include "a" . }}{{ end }}{{ include "a" . }}'),
    /deeper than \d+ templates/,
  );
  assert.throws(
    () => render('{{ define "a" }}{{ template "a" . }}{{ end }}{{ template "a" . }}'),
    /deeper than \d+ templates/,
  );
  assert.throws(() => render('{{ repeat 1000000000 "x" }}'), /longer than/);
  assert.throws(() => render('{{ until 100000000 }}'), /elements/);
  assert.throws(() => render('{{ range 100000000000 }}{{ end }}'), /steps/);
  assert.throws(() => render('{{ range 100000 }}{{ repeat 10000 "0123456789" }}{{ end }}'), /output is longer/);
});

test('parentheses and blocks nest only so deep', () => {
  assert.throws(() => render(`{{ ${'('.repeat(5000)}1${')'.repeat(5000)} }}`), TemplateParseError);
  assert.throws(() => render(`${'{{ if true }}'.repeat(5000)}${'{{ end }}'.repeat(5000)}`), TemplateParseError);
});

test('keys with a special meaning in JavaScript are ordinary keys', () => {
  assert.equal(
    render(
      '{{ $d := dict "__proto__" 1 "constructor" 2 }}{{ get $d "__proto__" }} {{ hasKey (dict) "toString" }} {{ set (dict) "__proto__" 3 | toJson }}',
    ),
    '1 false {"__proto__":3}',
  );
  assert.throws(() => render('{{ .constructor.name }}'), /nil pointer/);
});

test('a regular expression that backtracks elsewhere takes linear time', () => {
  assert.equal(render('{{ regexMatch "^(a+)+$" (print (repeat 5000 "a") "b") }}'), 'false');
});

test('functions with a random result explain themselves', () => {
  assert.throws(
    () => render('{{ genCA "x" 365 }}'),
    /genCA is not available here: keys and passwords belong into a Secret/,
  );
});

test('templates never hang and fail only with their own errors', () => {
  const piece = fc.constantFrom(
    '{{',
    '}}',
    '{{-',
    '-}}',
    ' if ',
    ' range ',
    ' else ',
    ' end ',
    ' define "x" ',
    ' template "x" ',
    '.',
    '.a',
    '$',
    '$x',
    ':=',
    '=',
    '|',
    '(',
    ')',
    '"s"',
    '`',
    "'c'",
    '1',
    '1.5',
    ',',
    ' with ',
    'list',
    'printf',
    '/*',
    '*/',
    '\n',
    'text',
    ' break ',
    ' nil ',
    ' true ',
    '\\',
    '{',
    '}',
  );
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.array(piece, { maxLength: 40 }).map((parts) => parts.join('')),
      ),
      (text) => {
        try {
          render(text, { a: [1, { b: 'x' }] });
        } catch (error) {
          if (
            !(
              error instanceof TemplateParseError ||
              error instanceof TemplateExecError ||
              error instanceof FunctionError
            )
          )
            throw error;
        }
      },
    ),
    { numRuns: 3000 },
  );
});

test('toYaml is read back as the same data', () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 4 }), (value) => {
      const clean = JSON.parse(
        JSON.stringify(value)
          .replaceAll('-0', '0')
          .replaceAll(/\\u[dD][89a-fA-F]../g, 'x'),
      );
      assert.deepEqual(plain(readYaml(writeYaml(clean))), plain(clean));
    }),
    { numRuns: 500 },
  );
});

/** Without prototypes and with integers beyond 2^53 rounded the same way. */
function plain(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value));
}
