/**
 * Words for writing an OpenAPI 3.1 document: shapes of values, and answers.
 */
export type Schema = Readonly<Record<string, unknown>>;

export const TEXT: Schema = { type: 'string' };
export const OPTIONAL_TEXT: Schema = { type: ['string', 'null'] };
export const FLAG: Schema = { type: 'boolean' };
export const COUNT: Schema = { type: 'integer', minimum: 0 };
export const AMOUNT: Schema = { type: 'number', minimum: 0 };

/** An object whose properties are all there and the only ones. */
export function closed(properties: Readonly<Record<string, Schema>>, description?: string): Schema {
  const shape = { type: 'object', properties, required: Object.keys(properties), additionalProperties: false };
  return description === undefined ? shape : { ...shape, description };
}

export function named(name: string): Schema {
  return { $ref: `#/components/schemas/${name}` };
}

export function described(schema: Schema, description: string): Schema {
  return { ...schema, description };
}

/** The same, or null. */
export function optional(schema: Schema): Schema {
  return { ...schema, type: [schema['type'], 'null'] };
}

/** The compiler holds the fields of a schema equal to those of its type. */
export type FieldsOf<Shape> = Readonly<Record<keyof Shape, Schema>>;

/** An answer in JSON. */
export function json(description: string, schema: Schema): Schema {
  return { description, content: { 'application/json': { schema } } };
}
