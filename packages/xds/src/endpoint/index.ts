export { endpointAddress, unixPath } from './address.ts';
export { buildLoadAssignment, type LoadAssignmentInput } from './load-assignment.ts';
export { type ZoneSettings, zoneSettings } from './zone.ts';
export {
  type ClientPlace,
  type LocalitySettings,
  localitySettings,
  type PlacedGroup,
  placeEndpoints,
} from './locality.ts';
