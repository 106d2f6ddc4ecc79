// Filters of hooks: what an input must be for a plugin to be called.

import * as z from "zod";

import { flag, formed, mapOf, table, text } from "./schema-parts.ts";

const WANTED = "a value, an array of values, or a table with prefix, contains, exists, not, gt or lt";
const scalar = z.union([z.string(), z.number(), z.boolean(), z.null()], { error: "text, a number, true, false or null" });
const values = z.union([scalar, z.array(scalar).min(1, { error: "an array of at least one value" })], { error: "a value, or an array of values" });
const bound = z.number({ error: "a number" });

const condition = z.union(
  [
    scalar,
    z.array(scalar).min(1, { error: "an array of at least one value" }),
    table(
      {
        prefix: text("The text begins with this.").optional(),
        contains: scalar.meta({ description: "The text has this part, or the list this element." }).optional(),
        exists: flag("The value is there, or is not.").optional(),
        not: values.meta({ description: "The value is none of these." }).optional(),
        gt: bound.meta({ description: "The number is greater." }).optional(),
        lt: bound.meta({ description: "The number is less." }).optional(),
      },
      "What must hold of the value.",
    ).refine((tests) => Object.keys(tests).length > 0, { error: WANTED }),
  ],
  { error: WANTED },
);

/** Conditions by path in the hook's input; all must hold. */
export const filtersSchema: z.ZodRecord<z.ZodString, typeof condition> = mapOf(
  formed(/^[^.]+(?:\.[^.]+){0,15}$/, "a path in the input, such as user.role", ""),
  condition,
  "Conditions by path in the input; all must hold.",
);

/** A condition as it is written. */
export type FilterCondition = z.infer<typeof condition>;
