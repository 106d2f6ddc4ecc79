// A talk at a terminal: what was said before is sent along each time.

import { writeFile } from "node:fs/promises";
import { type Interface, createInterface } from "node:readline";

import { isMortiseError } from "../../index.ts";
import type { ChatFlags } from "../chat-command.ts";
import { EXIT, printFailure, toMortiseError } from "../failure.ts";
import { fileProblem } from "../file-problem.ts";
import { type Screen, paint, visible } from "../terminal.ts";
import { firstModel, systemMessage } from "./chat.ts";
import { ReadableText } from "./readable.ts";
import type { ChatMessage, ChatServer } from "./server.ts";

/** What a talk is held with. */
export interface TalkParts {
  readonly server: ChatServer;
  readonly flags: ChatFlags;
  readonly input: NodeJS.ReadStream;
  readonly output: Screen;
}

const INTERRUPTED = 130;
const PROMPT = "> ";
const MORE = ". ";
/** Begins and ends what has several lines. */
const BLOCK = '"""';
/** Lines that readline remembers. */
const HISTORY = 500;

const HELP = `/model         say which model answers, and which there are
/model NAME    let another model answer
/clear         forget what was said
/save FILE     write what was said to a file, as JSON
/quit          end; Ctrl-D does, too

A line that ends with \\ goes on with the next one; ${BLOCK} begins and ends
several lines. Ctrl-C stops an answer; where there is none, it ends the talk.
`;

/** A talk. */
export class Talk {
  readonly #parts: TalkParts;
  readonly #lines: Interface;
  /** Taken at once: what comes before is not kept. */
  readonly #each: AsyncIterable<string>;
  #messages: ChatMessage[];
  #model = "";
  /** What stops the answer that is coming, or the list of models. */
  #answering: AbortController | undefined;
  #exitCode: number = EXIT.ok;
  /** No line will come any more; those that have come are still answered. */
  #hasEnded = false;

  constructor(parts: TalkParts) {
    this.#parts = parts;
    this.#messages = [...systemMessage(parts.flags.system)];
    const { input, output } = parts;
    this.#lines = createInterface({ input, output, terminal: input.isTTY && output.isTTY, prompt: PROMPT, historySize: HISTORY });
    const each = this.#lines[Symbol.asyncIterator]();
    this.#each = { [Symbol.asyncIterator]: () => each };
  }

  /** Talks to its end, and returns the exit code. */
  async run(): Promise<number> {
    const { server, flags } = this.#parts;
    this.#lines.on("close", () => (this.#hasEnded = true));
    // A terminal whose lines are read key by key sends no signal.
    this.#lines.on("SIGINT", () => this.#interrupt());
    process.on("SIGINT", () => this.#interrupt());
    try {
      const model = flags.model ?? (await this.#unlessStopped((signal) => firstModel(server, signal)));
      if (model === undefined) return INTERRUPTED;
      this.#model = model;
      this.#note(`${this.#model} at ${server.name}; /help says what there is`);
      await this.#listen();
    } finally {
      // At a terminal, the shell goes on in a line of its own.
      if (this.#hasEnded && this.#lines.terminal) this.#write("\n");
      this.#lines.close();
    }
    return this.#exitCode;
  }

  #interrupt(): void {
    if (this.#answering !== undefined) {
      this.#answering.abort();
      return;
    }
    this.#exitCode = INTERRUPTED;
    this.#lines.close();
  }

  /** What the server is asked for; undefined if Ctrl-C came before it answered. */
  async #unlessStopped<Result>(ask: (signal: AbortSignal) => Promise<Result>): Promise<Result | undefined> {
    const aborter = new AbortController();
    this.#answering = aborter;
    try {
      return await ask(aborter.signal);
    } catch (error) {
      if (aborter.signal.aborted && !isMortiseError(error)) return undefined;
      throw error;
    } finally {
      this.#answering = undefined;
    }
  }

  async #listen(): Promise<void> {
    let said: string[] = [];
    let inBlock = false;
    this.#prompt(PROMPT);
    for await (const line of this.#each) {
      const isMark = line.trim() === BLOCK;
      const goesOn = isMark ? !inBlock : inBlock || line.endsWith("\\");
      if (isMark) inBlock = !inBlock;
      else said.push(!inBlock && line.endsWith("\\") ? line.slice(0, -1) : line);
      if (!goesOn) {
        const text = said.join("\n");
        said = [];
        if (!(await this.#take(text))) break;
      }
      if (this.#exitCode !== EXIT.ok) break;
      this.#prompt(goesOn ? MORE : PROMPT);
    }
  }

  #prompt(text: string): void {
    if (this.#hasEnded) return;
    this.#lines.setPrompt(text);
    this.#lines.prompt();
  }

  /** False for what ends the talk. */
  async #take(text: string): Promise<boolean> {
    if (text.trim() === "") return true;
    // Of several lines, none is a command.
    const [, command, rest = ""] = /^\/(\w+)(?:[ \t]+(.*?))?[ \t]*$/.exec(text) ?? [];
    if (command === undefined) {
      await this.#ask(text);
      return true;
    }
    switch (command) {
      case "quit":
      case "exit":
        return false;
      case "help":
        this.#write(HELP);
        break;
      case "model":
        await this.#chooseModel(rest);
        break;
      case "clear":
        this.#messages = [...systemMessage(this.#parts.flags.system)];
        this.#note("nothing was said");
        break;
      case "save":
        await this.#save(rest);
        break;
      default:
        this.#note(`there is no /${command}; /help says what there is`);
    }
    return true;
  }

  async #ask(text: string): Promise<void> {
    const { server } = this.#parts;
    this.#answering = new AbortController();
    const { signal } = this.#answering;
    const messages: ChatMessage[] = [...this.#messages, { role: "user", content: text }];
    const shown = new ReadableText();
    let answer = "";
    try {
      for await (const piece of server.ask({ model: this.#model, messages, signal })) {
        answer += piece;
        this.#write(shown.push(piece));
      }
    } catch (error) {
      if (answer !== "") this.#write(`${shown.end()}\n`);
      if (signal.aborted && !isMortiseError(error)) this.#note("stopped");
      else printFailure(toMortiseError(error));
      // What was not answered at all was not said.
      if (answer === "") return;
    } finally {
      this.#answering = undefined;
    }
    this.#write(`${shown.end()}${signal.aborted ? "" : "\n"}`);
    this.#messages = [...messages, { role: "assistant", content: answer }];
  }

  async #chooseModel(name: string): Promise<void> {
    if (name !== "") {
      this.#model = name;
      this.#note(`${name} answers from now on`);
      return;
    }
    try {
      const models = await this.#unlessStopped((signal) => this.#parts.server.models(signal));
      if (models === undefined) return this.#note("stopped");
      const others = models.filter((model) => model !== this.#model);
      this.#note(`${this.#model} answers${others.length === 0 ? "" : `; there are also ${others.join(", ")}`}`);
    } catch (error) {
      printFailure(toMortiseError(error));
    }
  }

  async #save(path: string): Promise<void> {
    if (path === "") return this.#note("/save needs the name of a file");
    try {
      await writeFile(path, `${JSON.stringify({ model: this.#model, messages: this.#messages }, undefined, 2)}\n`, { flag: "wx", mode: 0o600 });
      this.#note(`saved to ${path}`);
    } catch (error) {
      const exists = (error as NodeJS.ErrnoException).code === "EEXIST";
      this.#note(`cannot write "${path}": ${exists ? "it exists already" : fileProblem(error)}`);
    }
  }

  #write(text: string): void {
    this.#parts.output.write(text);
  }

  #note(text: string): void {
    this.#write(`${paint(this.#parts.output, "dim", visible(text))}\n`);
  }
}
