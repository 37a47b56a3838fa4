/** Judges answers by the OpenAPI document that the page's API hands out. */

export interface Schema {
  readonly $ref?: string;
  readonly type?: string | readonly string[];
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly pattern?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: boolean;
  readonly items?: Schema;
  readonly minItems?: number;
  readonly maxItems?: number;
}

export interface Operation {
  readonly parameters?: readonly { readonly name: string }[];
  readonly responses: Readonly<Record<string, { readonly content?: Readonly<Record<string, { readonly schema: Schema }>> }>>;
}

export interface OpenApiDocument {
  readonly openapi: string;
  readonly paths: Readonly<Record<string, { readonly get?: Operation; readonly post?: Operation; readonly delete?: Operation }>>;
  readonly components: { readonly schemas: Readonly<Record<string, Schema>> };
}

function kindOf(value: unknown): string {
  if (value === null) return 'null';
  return Array.isArray(value) ? 'array' : typeof value;
}

/** The part of JSON Schema that the document uses; the first thing wrong, as a sentence. */
export function mismatch(document: OpenApiDocument, schema: Schema, value: unknown, where: string): string | null {
  if (schema.$ref !== undefined)
    return mismatch(document, document.components.schemas[schema.$ref.split('/').at(-1) ?? ''] ?? { enum: [] }, value, where);
  const kind = kindOf(value);
  const types = schema.type === undefined ? [] : [schema.type].flat();
  const fits = types.length === 0 || types.includes(kind) || (types.includes('integer') && Number.isInteger(value));
  if (!fits) return `${where} is ${kind}, not ${types.join(' or ')}`;
  if (schema.enum !== undefined && !schema.enum.includes(value)) return `${where} is none of ${schema.enum.join(', ')}`;
  if ('const' in schema && schema.const !== value) return `${where} is not ${String(schema.const)}`;
  if (schema.pattern !== undefined && kind === 'string' && !new RegExp(schema.pattern).test(String(value)))
    return `${where} does not match ${schema.pattern}`;
  if (typeof value === 'number' && (value < (schema.minimum ?? value) || value > (schema.maximum ?? value)))
    return `${where} is out of range`;
  if (Array.isArray(value) && (value.length < (schema.minItems ?? 0) || value.length > (schema.maxItems ?? value.length)))
    return `${where} has ${value.length} items`;
  if (Array.isArray(value)) return firstOf(value.map((item, index) => mismatch(document, schema.items ?? {}, item, `${where}[${index}]`)));
  return kind === 'object' && schema.properties !== undefined
    ? objectMismatch(document, schema, value as Readonly<Record<string, unknown>>, where)
    : null;
}

function objectMismatch(document: OpenApiDocument, schema: Schema, value: Readonly<Record<string, unknown>>, where: string): string | null {
  const properties = schema.properties ?? {};
  const missing = schema.required?.find((name) => !(name in value));
  if (missing !== undefined) return `${where}.${missing} is missing`;
  const unknown = schema.additionalProperties === false ? Object.keys(value).find((name) => !(name in properties)) : undefined;
  if (unknown !== undefined) return `${where}.${unknown} is not in the document`;
  return firstOf(
    Object.entries(properties).map(([name, property]) =>
      name in value ? mismatch(document, property, value[name], `${where}.${name}`) : null,
    ),
  );
}

function firstOf(complaints: readonly (string | null)[]): string | null {
  return complaints.find((complaint) => complaint !== null) ?? null;
}
