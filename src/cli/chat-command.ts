// `mortise chat`: talks to a model, through a gateway that runs or one of its own.

import type { Command } from "commander";

/** Options of the command as commander gives them. */
export interface ChatFlags {
  readonly model?: string;
  readonly url?: string;
  readonly system?: string;
  readonly keyEnv?: string;
  readonly config?: string;
  readonly interactive?: boolean;
}

const HELP = `
With words, or with input from a pipe, it asks once and prints the answer alone.
At a terminal without words it talks until /quit; /help says what else there is.
Without --url it is a gateway itself, with the configuration or what is built
in, so that it works without a network. What is said is sent nowhere else.

Ctrl-C stops an answer; where there is none, it ends the talk.

Exit codes:
  0    done
  1    no answer, or one that broke off
  2, 3 wrong arguments; a configuration or plugin that cannot be used
  130  interrupted by Ctrl-C

Examples:
  mortise chat Hello
  mortise chat --url http://127.0.0.1:8080 --model openai/gpt-5
  git diff | mortise chat "Write a commit message for this:" -
  mortise chat --url https://api.openai.com/v1 --key-env OPENAI_API_KEY`;

/** Defines the command. */
export function defineChat(program: Command, done: (exitCode: number) => void): void {
  program
    .command("chat")
    .description("talk to a model, at the terminal or once")
    .argument("[prompt...]", "what to ask; - stands for the input")
    .option("--model <name>", "the model (default: the first that there is)")
    .option("--url <url>", "a gateway that runs, or any server with OpenAI's interface")
    .option("--system <text>", "what the model is told first")
    .option("--key-env <name>", "environment variable that has the key for the URL")
    .option("--config <file>", "without a URL: the configuration of the gateway")
    .option("-i, --interactive", "talk even if the input is no terminal")
    .addHelpText("after", HELP)
    .action(async (words: readonly string[], flags: ChatFlags) => {
      // Loaded here, since other commands do without.
      const { chat } = await import("./chat/chat.ts");
      done(await chat(words, flags));
    });
}
