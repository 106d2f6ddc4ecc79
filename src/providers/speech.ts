// Speech to text and back, which plugins of both generations do by themselves. Audio crosses in base64.

import type { Operation } from "./operation.ts";
import { ProviderCall } from "./provider-call.ts";
import type { ProviderGuest } from "./provider-guest.ts";
import { toJson } from "./request-json.ts";
import type { Speech, SpeechRequest, TranscriptionRequest } from "./types.ts";

/** What both work with. */
export interface SpeechParts {
  readonly guest: ProviderGuest;
}

/** @throws MortiseError MORTISE_PROVIDER_ERROR of the type `not_implemented` if the plugin cannot */
export async function transcribe({ guest }: SpeechParts, operation: Operation, request: TranscriptionRequest): Promise<string> {
  const { audio, ...rest } = request;
  const fields = toJson("request", { ...rest, audio_base64: Buffer.from(audio.buffer, audio.byteOffset, audio.length).toString("base64") });
  const shape = guest.shape("transcribe");
  const answer = shape.record(await long(guest, operation, "transcribe", fields), "the answer");
  return shape.text(answer["text"], "text");
}

/** @throws MortiseError MORTISE_PROVIDER_ERROR of the type `not_implemented` if the plugin cannot */
export async function speak({ guest }: SpeechParts, operation: Operation, request: SpeechRequest): Promise<Speech> {
  const shape = guest.shape("speech");
  const answer = shape.record(await long(guest, operation, "speech", toJson("request", request)), "the answer");
  const audio = Buffer.from(shape.text(answer["audio_base64"], "audio_base64"), "base64");
  const type = shape.orNull(answer["mime_type"], "mime_type", (value, where) => shape.text(value, where));
  return { audio: Uint8Array.from(audio), mime_type: type ?? undefined };
}

/** A call during which the plugin makes requests; `fields` is a JSON object, which gets the configuration too. */
export function long(guest: ProviderGuest, operation: Operation, fn: string, fields: string): Promise<unknown> {
  const { cfg, signal, timeLeftMs } = operation;
  const input = fields === "{}" ? `{"cfg":${cfg}}` : `{"cfg":${cfg},${fields.slice(1)}`;
  return guest.json(fn, input, { signal, timeoutMs: timeLeftMs, call: new ProviderCall(timeLeftMs) });
}
