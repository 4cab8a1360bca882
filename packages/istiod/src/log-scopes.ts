import { SettingsError } from './setting-values.ts';

/** Up to which severity a scope writes: `none` writes nothing, `debug` everything. */
export type OutputLevel = 'none' | 'fatal' | 'error' | 'warn' | 'info' | 'debug';

const ranks: Readonly<Record<OutputLevel, number>> = { none: 0, fatal: 1, error: 2, warn: 3, info: 4, debug: 5 };

/** The levels, from silent to everything. */
export const outputLevels = Object.keys(ranks) as readonly OutputLevel[];

export const isOutputLevel = (text: unknown): text is OutputLevel =>
  typeof text === 'string' && Object.hasOwn(ranks, text);

/** Whether a line of this severity is written at this level. */
export const isWritten = (severity: OutputLevel, at: OutputLevel): boolean => ranks[severity] <= ranks[at];

/** A named part of the log, for example `ads`, and how much it writes. */
export interface LogScope {
  readonly name: string;
  readonly description: string;
  readonly outputLevel: OutputLevel;
  /** Lines up to this severity carry the call stack. */
  readonly stackTraceLevel: OutputLevel;
  /** Whether lines tell the place in the code that wrote them. */
  readonly logCallers: boolean;
}

export type ScopeChange = Partial<Pick<LogScope, 'outputLevel' | 'stackTraceLevel' | 'logCallers'>>;

/** Levels per scope as `--log_output_level` gives them: `default:info,ads:debug`. Raises SettingsError that names what is wrong. */
export function parseLogLevels(
  text: string,
  flag = 'log_output_level',
  fallback: OutputLevel = 'info',
): ReadonlyMap<string, OutputLevel> {
  const levels = new Map<string, OutputLevel>([['default', fallback]]);
  for (const part of text.split(',').filter((word) => word !== '')) {
    const [scope, level] = part.includes(':') ? part.split(':', 2) : ['default', part];
    if (!scope || !isOutputLevel(level))
      throw new SettingsError(
        `--${flag}: '${part}' is not SCOPE:LEVEL with a level of ${[...outputLevels].reverse().join(', ')}`,
      );
    levels.set(scope, level);
  }
  return levels;
}

/** What the flags say about the log. */
export interface ScopeSettings {
  readonly outputLevels: ReadonlyMap<string, OutputLevel>;
  readonly stackTraceLevels: ReadonlyMap<string, OutputLevel>;
  /** Names of scopes that tell the place in the code (`--log_caller`). */
  readonly callers: ReadonlySet<string>;
}

/** The scopes of this process and their levels, which may be changed while it runs. */
export class LogScopes {
  readonly #scopes = new Map<string, LogScope>();
  readonly #settings: ScopeSettings;

  constructor(settings: ScopeSettings) {
    this.#settings = settings;
    this.register('default', 'Everything that has no scope of its own');
  }

  /** Makes a scope, at the level of the flags or of `default` as it is now; one that is there stays as it is. */
  register(name: string, description: string): void {
    const known = this.#scopes.get(name);
    if (known !== undefined) return;
    const { outputLevels: output, stackTraceLevels: stacks, callers } = this.#settings;
    this.#scopes.set(name, {
      name,
      description,
      outputLevel: output.get(name) ?? this.#scopes.get('default')?.outputLevel ?? output.get('default') ?? 'info',
      stackTraceLevel: stacks.get(name) ?? stacks.get('default') ?? 'none',
      logCallers: callers.has(name) || callers.has('default'),
    });
  }

  get(name: string): LogScope | undefined {
    return this.#scopes.get(name);
  }

  /** Sorted by name. */
  all(): readonly LogScope[] {
    return [...this.#scopes.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** Takes effect with the next line. Undefined when there is no such scope. */
  change(name: string, change: ScopeChange): LogScope | undefined {
    const known = this.#scopes.get(name);
    if (known === undefined) return undefined;
    const changed = { ...known, ...change };
    this.#scopes.set(name, changed);
    return changed;
  }
}
