import type { GoValue } from './value.ts';

/** Where a node stands: `template` and `text` of the parsed source, `pos` an offset in it. */
export interface Source {
  readonly template: string;
  readonly text: string;
}

export interface Located {
  readonly pos: number;
  readonly source: Source;
}

export type Expression = Located &
  (
    | { readonly type: 'dot' }
    | { readonly type: 'nil' }
    | { readonly type: 'bool'; readonly value: boolean }
    | { readonly type: 'number'; readonly text: string; readonly value: GoValue }
    | { readonly type: 'string'; readonly quoted: string; readonly value: string }
    | { readonly type: 'field'; readonly names: readonly string[] }
    | { readonly type: 'variable'; readonly name: string; readonly names: readonly string[] }
    | { readonly type: 'function'; readonly name: string }
    | { readonly type: 'chain'; readonly base: Expression; readonly names: readonly string[] }
    | { readonly type: 'pipeline'; readonly pipeline: Pipeline }
  );

export interface Command extends Located {
  readonly args: readonly Expression[];
}

export interface Pipeline extends Located {
  readonly assign: boolean;
  readonly variables: readonly string[];
  readonly commands: readonly Command[];
}

export type Node = Located &
  (
    | { readonly type: 'text'; readonly text: string }
    | { readonly type: 'action'; readonly pipeline: Pipeline }
    | {
        readonly type: 'if' | 'with' | 'range';
        readonly pipeline: Pipeline;
        readonly list: readonly Node[];
        readonly elseList: readonly Node[] | undefined;
      }
    | { readonly type: 'template'; readonly name: string; readonly pipeline: Pipeline | undefined }
    | { readonly type: 'break' }
    | { readonly type: 'continue' }
  );

export interface TemplateTree {
  readonly name: string;
  readonly source: Source;
  readonly root: readonly Node[];
}

/** The source of an expression in Go's normal form, as error messages show it. */
export function expressionText(node: Expression): string {
  switch (node.type) {
    case 'dot':
      return '.';
    case 'nil':
      return 'nil';
    case 'bool':
      return String(node.value);
    case 'number':
      return node.text;
    case 'string':
      return node.quoted;
    case 'field':
      return node.names.map((name) => `.${name}`).join('');
    case 'variable':
      return [node.name, ...node.names].join('.');
    case 'function':
      return node.name;
    case 'chain': {
      const base = node.base.type === 'pipeline' ? `(${pipelineText(node.base.pipeline)})` : expressionText(node.base);
      return base + node.names.map((name) => `.${name}`).join('');
    }
    case 'pipeline':
      return pipelineText(node.pipeline);
  }
}

export function commandText(command: Command): string {
  return command.args
    .map((arg) => (arg.type === 'pipeline' ? `(${pipelineText(arg.pipeline)})` : expressionText(arg)))
    .join(' ');
}

export function pipelineText(pipeline: Pipeline): string {
  const head =
    pipeline.variables.length === 0 ? '' : `${pipeline.variables.join(', ')} ${pipeline.assign ? '=' : ':='} `;
  return head + pipeline.commands.map(commandText).join(' | ');
}
