/**
 * The name of a field in JSON: its declared JSON name, else lowerCamelCase of its own (ProtoJSON, "JSON Mapping"), which
 * drops every underscore and raises the letter after it.
 */
export function jsonName(field: { readonly name: string; readonly jsonName?: string }): string {
  if (field.jsonName !== undefined && field.jsonName !== '') return field.jsonName;
  return field.name.replace(/_+(.?)/g, (_, letter: string) => letter.toUpperCase());
}
