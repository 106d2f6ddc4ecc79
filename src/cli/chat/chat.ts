// Runs `mortise chat`: one question, or a talk.

import { MortiseError, isMortiseError } from "../../index.ts";
import type { ChatFlags } from "../chat-command.ts";
import { printProblems } from "../config-command.ts";
import { EXIT, exitCodeOf, printConfiguredFailure, toMortiseError, usageError } from "../failure.ts";
import { readInput } from "../guest-input.ts";
import { ReadableText } from "./readable.ts";
import { type ChatMessage, type ChatServer, ownServer, remoteServer } from "./server.ts";
import { Talk } from "./talk.ts";

/** Exit code of what Ctrl-C ends. */
const INTERRUPTED = 130;
/** Bytes of input that are sent. */
const MAX_INPUT_BYTES = 16 << 20;

/** Runs the command and returns the exit code. */
export async function chat(words: readonly string[], flags: ChatFlags): Promise<number> {
  try {
    const talks = flags.interactive === true || (words.length === 0 && process.stdin.isTTY);
    if (flags.interactive === true && words.length > 0) throw usageError("--interactive takes no words", "leave one of them out");
    const prompt = talks ? "" : await promptOf(words);
    await using server = await serverOf(flags);
    return await (talks ? new Talk({ server, flags, input: process.stdin, output: process.stdout }).run() : askOnce(server, prompt, flags));
  } catch (error) {
    const failure = toMortiseError(error);
    printConfiguredFailure(failure);
    printProblems(failure);
    return exitCodeOf(failure);
  }
}

async function serverOf({ url, keyEnv, config }: ChatFlags): Promise<ChatServer> {
  if (url === undefined) {
    if (keyEnv !== undefined) throw usageError("--key-env is for --url; a configuration names its own keys");
    return ownServer(config);
  }
  if (config !== undefined) throw usageError("--config and --url exclude each other", "the server at the URL has its own configuration");
  return remoteServer(url, keyEnv === undefined ? undefined : keyOf(keyEnv));
}

function keyOf(name: string): string {
  const key = process.env[name];
  if (key === undefined || key === "")
    throw usageError(`the environment variable "${name}" is not set`, "--key-env names the variable, and does not take the key");
  if (/[^\x21-\x7e]/.test(key)) throw usageError(`the environment variable "${name}" holds no key: it has spaces or other characters`);
  return key;
}

/** The words, and the input where `-` stands, or where there are no words. */
async function promptOf(words: readonly string[]): Promise<string> {
  const dash = words.at(-1) === "-";
  const said = (dash ? words.slice(0, -1) : words).join(" ");
  const input = dash || words.length === 0 ? await inputText() : "";
  const prompt = [said, input].filter((text) => text !== "").join("\n\n");
  if (prompt.trim() === "") throw usageError("there is nothing to ask", "give words, or input: echo Hello | mortise chat");
  return prompt;
}

async function inputText(): Promise<string> {
  const bytes = (await readInput({ what: "stdin", open: () => process.stdin }, MAX_INPUT_BYTES + 1)) as Uint8Array;
  if (bytes.length > MAX_INPUT_BYTES) throw usageError(`the input has more than ${MAX_INPUT_BYTES} bytes`);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes).trimEnd();
  } catch {
    throw usageError("the input is not valid UTF-8");
  }
}

async function askOnce(server: ChatServer, prompt: string, { system, model }: ChatFlags): Promise<number> {
  const aborter = new AbortController();
  process.once("SIGINT", () => aborter.abort());
  const { signal } = aborter;
  const text = new ReadableText();
  let last = "\n";
  const print = (piece: string): void => {
    if (piece === "") return;
    last = piece;
    process.stdout.write(piece);
  };
  const end = (): void => {
    print(text.end());
    if (!last.endsWith("\n")) process.stdout.write("\n");
  };
  try {
    const messages = [...systemMessage(system), { role: "user", content: prompt } as const];
    for await (const piece of server.ask({ model: model ?? (await firstModel(server, signal)), messages, signal })) print(text.push(piece));
    end();
    return EXIT.ok;
  } catch (error) {
    end();
    if (signal.aborted && !isMortiseError(error)) return INTERRUPTED;
    throw error;
  }
}

/** What the model is told first. */
export function systemMessage(system: string | undefined): readonly ChatMessage[] {
  return system === undefined ? [] : [{ role: "system", content: system }];
}

/** The model that is meant where none is named. @throws MortiseError MORTISE_USAGE if the server lists none */
export async function firstModel(server: ChatServer, signal: AbortSignal): Promise<string> {
  const [first] = await server.models(signal);
  if (first === undefined) throw new MortiseError("MORTISE_USAGE", { reason: `${server.name} lists no models`, hint: "--model names one" });
  return first;
}
