import type { RateLimitRequest, RateLimitResponse } from '@istio-ts/envoy';
import { ConfigError, type ConfigFile, describeConfig, parseConfig } from './config.ts';
import { CountersUnavailable } from './counters.ts';
import { type DecideOptions, decide, RequestError } from './decide.ts';
import type { Domains } from './limits.ts';

export interface Log {
  debug(message: string): void;
  info(message: string): void;
  warning(message: string): void;
  error(message: string): void;
}

/** The configuration in force and the decisions by it. */
export class RateLimitService {
  readonly #options: DecideOptions;
  readonly #log: Log;
  readonly #merge: boolean;
  #domains: Domains | undefined;
  #problem: string | undefined;

  constructor(options: DecideOptions, log: Log, merge = false) {
    this.#options = options;
    this.#log = log;
    this.#merge = merge;
  }

  /** Takes a new configuration; one that cannot be used leaves the last one in force. */
  configure(read: () => readonly ConfigFile[]): void {
    try {
      const files = read();
      this.#domains = parseConfig(files, this.#merge);
      this.#problem = undefined;
      this.#options.statistics.configLoaded();
      this.#log.info(`configuration loaded: ${files.length} files, domains: ${[...this.#domains.keys()].join(', ')}`);
      this.#log.debug(describeConfig(this.#domains).trimEnd());
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      this.#problem = error.message;
      this.#options.statistics.configError();
      this.#log.error(
        `the configuration cannot be used${this.#domains === undefined ? '' : ', the last one stays in force'}: ${error.message}`,
      );
    }
  }

  /** Why the newest configuration is not in force. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /** Whether some domain has limits. */
  get hasConfig(): boolean {
    return this.#domains !== undefined && this.#domains.size > 0;
  }

  get configText(): string {
    return describeConfig(this.#domains ?? new Map());
  }

  get healthy(): boolean {
    return this.#options.counters.healthy;
  }

  /** Rejects with RequestError and CountersUnavailable. */
  async shouldRateLimit(request: RateLimitRequest): Promise<RateLimitResponse> {
    try {
      if (this.#domains === undefined)
        throw new RequestError(`there is no configuration${this.#problem === undefined ? '' : `: ${this.#problem}`}`);
      return await decide(request, this.#domains, this.#options);
    } catch (error) {
      this.#options.statistics.requestError(error instanceof CountersUnavailable ? 'redis' : 'service');
      this.#log.debug(`no answer: ${error instanceof Error ? error.message : error}`);
      throw error;
    }
  }
}
