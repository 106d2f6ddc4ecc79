// Small programs as trees, for properties of the cost model: fast-check makes and shrinks them, `emitProgram` turns
// them into modules. Functions call only later ones and loops are counted, so every program ends.
import * as fc from "fast-check";
import { call, type Code, EMPTY, END, FUNCREF, I32, i32Const, localGet, localSet, localTee, ModuleBuilder, unsigned } from "./builder.ts";

export type Expression =
  | { readonly kind: "constant"; readonly value: number }
  | { readonly kind: "local"; readonly index: number }
  | { readonly kind: "binary"; readonly code: number; readonly left: Expression; readonly right: Expression }
  | { readonly kind: "load"; readonly address: Expression }
  | { readonly kind: "choose"; readonly condition: Expression; readonly first: Expression; readonly second: Expression }
  | { readonly kind: "call"; readonly callee: number; readonly argument: Expression };

export type Statement =
  | { readonly kind: "set"; readonly local: number; readonly value: Expression }
  | { readonly kind: "store"; readonly address: Expression; readonly value: Expression }
  | { readonly kind: "if"; readonly condition: Expression; readonly arm: readonly Statement[]; readonly otherwise: readonly Statement[] }
  | { readonly kind: "loop"; readonly times: number; readonly body: readonly Statement[] }
  | { readonly kind: "while"; readonly times: number; readonly before: readonly Statement[]; readonly after: readonly Statement[] }
  | { readonly kind: "switch"; readonly on: Expression; readonly arms: readonly (readonly Statement[])[] }
  | { readonly kind: "indirect"; readonly callee: number; readonly argument: Expression }
  | { readonly kind: "fill"; readonly length: number }
  | { readonly kind: "grow" }
  | { readonly kind: "leave"; readonly condition: Expression; readonly value: Expression }
  | { readonly kind: "trap"; readonly condition: Expression };

export interface Program {
  readonly functions: readonly (readonly Statement[])[];
}

const ownLocals = 3;
const maxCounters = 6;

/** Emits one function; local 0 is its parameter, the next ones are its own, then come the counters of loops. */
class FunctionEmitter {
  readonly #index: number;
  readonly #count: number;
  #depth = 0;

  constructor(index: number, count: number) {
    this.#index = index;
    this.#count = count;
  }

  body(code: readonly Statement[]): Code {
    return [...this.#all(code), ...localGet(0)];
  }

  #all(code: readonly Statement[]): number[] {
    return code.flatMap((statement) => this.#statement(statement));
  }

  /** Only later functions are called; the last one calls none. */
  #callee(wanted: number): number | undefined {
    const later = this.#count - this.#index - 1;
    return later === 0 ? undefined : this.#index + 1 + (wanted % later);
  }

  #expression(expression: Expression): number[] {
    switch (expression.kind) {
      case "constant":
        return i32Const(expression.value);
      case "local":
        return localGet(expression.index % (1 + ownLocals));
      case "binary":
        return [...this.#expression(expression.left), ...this.#expression(expression.right), expression.code];
      case "load":
        return [...this.#expression(expression.address), ...i32Const(0xfff), 0x71, 0x28, 2, 0];
      case "choose":
        return [
          ...this.#expression(expression.condition),
          0x04,
          I32,
          ...this.#expression(expression.first),
          0x05,
          ...this.#expression(expression.second),
          END,
        ];
      case "call": {
        const callee = this.#callee(expression.callee);
        const argument = this.#expression(expression.argument);
        return callee === undefined ? argument : [...argument, ...call(callee)];
      }
    }
  }

  #counted(times: number, make: (counter: number) => number[]): number[] {
    if (this.#depth >= maxCounters) return [0x01];
    const counter = 1 + ownLocals + this.#depth++;
    const code = [...i32Const(times), ...localSet(counter), ...make(counter)];
    this.#depth--;
    return code;
  }

  #statement(statement: Statement): number[] {
    switch (statement.kind) {
      case "set":
        return [...this.#expression(statement.value), ...localSet(statement.local % (1 + ownLocals))];
      case "store":
        return [...this.#expression(statement.address), ...i32Const(0xfff), 0x71, ...this.#expression(statement.value), 0x36, 2, 0];
      case "if": {
        const arms = statement.otherwise.length === 0 ? [] : [0x05, ...this.#all(statement.otherwise)];
        return [...this.#expression(statement.condition), 0x04, EMPTY, ...this.#all(statement.arm), ...arms, END];
      }
      case "loop":
        return this.#counted(statement.times, (counter) => [
          0x03,
          EMPTY,
          ...this.#all(statement.body),
          ...localGet(counter),
          ...i32Const(1),
          0x6b,
          ...localTee(counter),
          0x0d,
          0,
          END,
        ]);
      case "while":
        return this.#counted(statement.times, (counter) => [
          0x02,
          EMPTY,
          0x03,
          EMPTY,
          ...this.#all(statement.before),
          ...localGet(counter),
          0x45,
          0x0d,
          1,
          ...localGet(counter),
          ...i32Const(1),
          0x6b,
          ...localSet(counter),
          ...this.#all(statement.after),
          0x0c,
          0,
          END,
          END,
        ]);
      case "switch":
        return this.#switch(statement.on, statement.arms);
      case "indirect": {
        const callee = this.#callee(statement.callee);
        if (callee === undefined) return [0x01];
        return [...this.#expression(statement.argument), ...i32Const(callee), 0x11, 0, 0, 0x1a];
      }
      case "fill":
        return [...i32Const(64), ...i32Const(7), ...i32Const(statement.length), 0xfc, 11, 0];
      case "grow":
        return [...i32Const(1), 0x40, 0, 0x1a];
      case "leave":
        return [...this.#expression(statement.condition), 0x04, EMPTY, ...this.#expression(statement.value), 0x0f, END];
      case "trap":
        return [...this.#expression(statement.condition), ...i32Const(7), 0x71, 0x45, 0x04, EMPTY, 0x00, END];
    }
  }

  #switch(on: Expression, arms: readonly (readonly Statement[])[]): number[] {
    const opened = arms.flatMap(() => [0x02, EMPTY]);
    const targets = arms.flatMap((_, at) => unsigned(at));
    const dispatch = [...this.#expression(on), 0x0e, ...unsigned(arms.length), ...targets, ...unsigned(arms.length)];
    // One block more, so that each arm can leave the whole.
    const bodies = arms.flatMap((arm, at) => [END, ...this.#all(arm), 0x0c, ...unsigned(arms.length - 1 - at)]);
    return [0x02, EMPTY, ...opened, ...dispatch, ...bodies, END];
  }
}

/** The program as a module: `run` takes and returns an i32, memory and table are there for the statements. */
export function emitProgram(program: Program): Uint8Array<ArrayBuffer> {
  const builder = new ModuleBuilder();
  const type = builder.type([I32], [I32]);
  const count = program.functions.length;
  builder.memory([1, 2, 4]);
  builder.table([FUNCREF, 0, ...unsigned(count)]);
  builder.element([0, ...i32Const(0), END, ...unsigned(count), ...program.functions.map((_, at) => at)]);
  const locals: Code[] = Array.from({ length: ownLocals + maxCounters }, () => [I32]);
  for (const [index, body] of program.functions.entries()) {
    builder.func(type, locals, new FunctionEmitter(index, count).body(body));
  }
  builder.exportEntity("run", "function", 0);
  return builder.build();
}

const plainBinary = [0x6a, 0x6b, 0x6c, 0x71, 0x72, 0x73, 0x74, 0x75, 0x77, 0x48, 0x49, 0x4f, 0x46];
const trappingBinary = [0x6d, 0x6e, 0x6f, 0x70];
const small = fc.integer({ min: 0, max: 7 });
const constant = fc.oneof(small, fc.integer({ min: -0x80000000, max: 0x7fffffff }));

export interface ProgramShape {
  /** Conditions, switches, early exits and instructions that trap. */
  readonly branches: boolean;
}

function statements({ branches }: ProgramShape): fc.Arbitrary<Statement[]> {
  const { expression } = fc.letrec<{ expression: Expression }>((tie) => ({
    expression: fc.oneof(
      { maxDepth: 3, depthIdentifier: "expression" },
      fc.oneof(
        fc.record({ kind: fc.constant("constant" as const), value: constant }),
        fc.record({ kind: fc.constant("local" as const), index: small }),
      ),
      fc.record({
        kind: fc.constant("binary" as const),
        code: fc.constantFrom(...plainBinary, ...(branches ? trappingBinary : [])),
        left: tie("expression"),
        right: tie("expression"),
      }),
      fc.record({ kind: fc.constant("load" as const), address: tie("expression") }),
      fc.record({ kind: fc.constant("call" as const), callee: small, argument: tie("expression") }),
      ...(branches
        ? [fc.record({ kind: fc.constant("choose" as const), condition: tie("expression"), first: tie("expression"), second: tie("expression") })]
        : []),
    ),
  }));
  return fc.letrec<{ statement: Statement; list: Statement[] }>((tie) => {
    const list = fc.array(tie("statement"), { maxLength: 4 });
    const straight = [
      fc.record({ kind: fc.constant("set" as const), local: small, value: expression }),
      fc.record({ kind: fc.constant("store" as const), address: expression, value: expression }),
      fc.record({ kind: fc.constant("indirect" as const), callee: small, argument: expression }),
      fc.record({ kind: fc.constant("fill" as const), length: fc.integer({ min: 0, max: 2000 }) }),
      fc.record({ kind: fc.constant("grow" as const) }),
    ];
    const branching = [
      fc.record({ kind: fc.constant("leave" as const), condition: expression, value: expression }),
      fc.record({ kind: fc.constant("trap" as const), condition: expression }),
      fc.record({ kind: fc.constant("if" as const), condition: expression, arm: list, otherwise: list }),
      fc.record({ kind: fc.constant("while" as const), times: small, before: list, after: list }),
      fc.record({ kind: fc.constant("switch" as const), on: expression, arms: fc.array(list, { minLength: 1, maxLength: 4 }) }),
    ];
    const loop = fc.record({ kind: fc.constant("loop" as const), times: fc.integer({ min: 1, max: 5 }), body: list });
    return {
      list,
      statement: fc.oneof({ maxDepth: 3, depthIdentifier: "statement" }, ...straight, loop, ...(branches ? branching : [])),
    };
  }).list;
}

/** Programs of one to four functions. */
export function programs(shape: ProgramShape): fc.Arbitrary<Program> {
  return fc.record({ functions: fc.array(statements(shape), { minLength: 1, maxLength: 4 }) });
}
