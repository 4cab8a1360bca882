import type { Analyzer } from './analyzer.ts';
import { schemaValidation } from './analyzers/schema-validation.ts';

/** All analyzers. One file each; a new one becomes known here and nowhere else. */
export const analyzers: readonly Analyzer[] = [schemaValidation];
