import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { asDecoded } from './convert.ts';
import { DeliberateFailure, TemplateExecError, TemplateParseError } from './errors.ts';
import { helmOptions } from './helm.ts';
import { CASE_VALUES, CASES } from './helm-cases.ts';
import { FUNCTION_CASES } from './helm-cases-functions.ts';
import { TemplateSet } from './template.ts';
import { GoObject, type GoValue } from './value.ts';
import { readYaml } from './yaml-read.ts';

const haveHelm = spawnSync('helm', ['version'], { stdio: 'ignore' }).status === 0;
const FILE = 'c/templates/x.yaml';

/** The data that helm hands to a template of the chart `c`, release `r`. */
function data(): GoValue {
  return {
    Values: asDecoded(readYaml(CASE_VALUES)),
    Release: { Name: 'r', Namespace: 'default', IsInstall: true, IsUpgrade: false, Revision: 1, Service: 'Helm' },
    Chart: { Name: 'c', Version: '0.1.0' },
    Template: { Name: FILE, BasePath: 'c/templates' },
    Capabilities: { APIVersions: new GoObject('common.VersionSet', {}, { Has: (version) => version === 'v1' }) },
  };
}

function ours(text: string): { readonly output: string } | { readonly error: string } {
  const set = new TemplateSet(helmOptions());
  try {
    set.parse(FILE, text);
    return { output: set.execute(FILE, data()).replaceAll('<no value>', '') };
  } catch (error) {
    if (error instanceof TemplateExecError && error.cause instanceof DeliberateFailure) {
      return { error: `execution error at (${error.template}:${error.line}:${error.column}): ${error.cause.message}` };
    }
    // Helm shows only what stands behind the last colon.
    if (error instanceof TemplateParseError)
      return { error: error.detail.slice(error.detail.lastIndexOf(': ') + 1).trim() };
    return { error: error instanceof Error ? error.message : String(error) };
  }
}

test('expressions give what helm gives', { skip: !haveHelm && 'helm is not installed' }, async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'gotemplate-'));
  t.after(() => rmSync(directory, { recursive: true }));
  mkdirSync(join(directory, 'templates'));
  writeFileSync(join(directory, 'Chart.yaml'), 'apiVersion: v2\nname: c\nversion: 0.1.0\n');
  writeFileSync(join(directory, 'values.yaml'), CASE_VALUES);
  const results = [...CASES, ...FUNCTION_CASES].map((text) => ({ text, result: ours(text) }));

  const good = results.filter(({ result }) => 'output' in result);
  for (const [i, { text }] of good.entries()) writeFileSync(join(directory, `case-${i}.txt`), text);
  writeFileSync(
    join(directory, 'templates', 'x.yaml'),
    good.map((_, i) => `v${i}: {{ tpl (.Files.Get "case-${i}.txt") . | toJson }}\n`).join(''),
  );
  const rendered = readYaml(execFileSync('helm', ['template', 'r', directory], { encoding: 'utf8' })) as Record<
    string,
    string
  >;
  for (const [i, { text, result }] of good.entries()) {
    await t.test(text, () => assert.equal('output' in result ? result.output : undefined, rendered[`v${i}`]));
  }
  for (const { text, result } of results.filter((each) => 'error' in each.result)) {
    await t.test(text, () => {
      writeFileSync(join(directory, 'templates', 'x.yaml'), text);
      const run = spawnSync('helm', ['template', 'r', directory], { encoding: 'utf8' });
      assert.equal(run.status, 1, run.stdout);
      const message =
        /^Error: (?:parse error at \(c\/templates\/x\.yaml:\d+\): |)(?<text>[\s\S]*?)\n\nUse --debug/.exec(run.stderr)
          ?.groups?.text ?? run.stderr;
      assert.equal('error' in result ? result.error : undefined, message.trim());
    });
  }
});
