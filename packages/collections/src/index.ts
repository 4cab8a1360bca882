/**
 * Keyed, incremental collections. A graph of them starts at sources, which are changed from outside, and goes through pure transformations: a
 * change recomputes the keys that depend on it, and an output equal to the old one stops there (design, rule 2).
 */
export { Cell, type Change, Collection, type CollectionOptions, type Fetch } from './collection.ts';
export { index, join, ordered } from './combine.ts';
export { type Equality, identical, sameParts, structurallyEqual } from './equal.ts';
export { Graph, type GraphOptions, type TransformationError } from './graph.ts';
export { SourceCell, SourceCollection } from './source.ts';
export { cell, filter, map, mapMany } from './transform.ts';
