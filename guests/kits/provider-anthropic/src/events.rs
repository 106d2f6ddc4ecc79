// Streams of Anthropic's wire: blocks that start, grow and stop; the data says the name of the event as well.
use serde_json::{Map, Value};

use crate::answers::{Chunk, OpenCall};
use crate::exchange::text;
use crate::faults::Fault;
use crate::streams::{json_of, Read, Reader};
use crate::wire::{error_event, finish_reason, input, usage, REDACTED};

const MAX_CALLS: u32 = 1024;

#[derive(Default)]
pub struct Events {
    /// By the block's index.
    calls: Vec<(u64, OpenCall)>,
    made: u32,
    finish: Option<String>,
    /// The counts of the first event, with those over them that a later one has.
    usage: Map<String, Value>,
    done: bool,
}

impl Reader for Events {
    fn event(&mut self, data: &[u8], to: &mut Vec<Chunk>) -> Result<Read, Fault> {
        let Some(event) = json_of(data)? else { return Ok(Read::Part) };
        let index = event["index"].as_u64().unwrap_or(0);
        match event["type"].as_str().unwrap_or_default() {
            "message_start" => self.count(&event["message"]["usage"]),
            "content_block_start" => self.start(index, &event["content_block"], data, to)?,
            "content_block_delta" => self.delta(index, &event["delta"], to),
            "content_block_stop" => self.stop(index, to),
            "message_delta" => {
                self.finish = text(&event["delta"], "stop_reason").map(str::to_string).or(self.finish.take());
                self.count(&event["usage"]);
            }
            "message_stop" => self.close(to),
            "error" => return Err(error_event(&event)),
            // Pings, and what there will be one day.
            _ => {}
        }
        Ok(Read::Whole)
    }

    /// The reason comes after all blocks, so that nothing but `message_stop` is missing where it is there.
    fn end(&mut self, to: &mut Vec<Chunk>) -> Result<(), Fault> {
        if !self.done && self.finish.is_none() {
            return Err(Fault::cut());
        }
        self.close(to);
        Ok(())
    }
}

impl Events {
    fn close(&mut self, to: &mut Vec<Chunk>) {
        if self.done {
            return;
        }
        self.done = true;
        for (_, call) in std::mem::take(&mut self.calls) {
            call.complete(to);
        }
        if !self.usage.is_empty() {
            to.push(Chunk::Usage(usage(&Value::Object(std::mem::take(&mut self.usage)))));
        }
        to.push(Chunk::Done { finish_reason: finish_reason(self.finish.as_deref()) });
    }

    fn count(&mut self, usage: &Value) {
        let counts = usage.as_object().into_iter().flatten();
        self.usage.extend(counts.filter(|(_, value)| !value.is_null()).map(|(name, value)| (name.clone(), value.clone())));
    }

    fn start(&mut self, index: u64, block: &Value, data: &[u8], to: &mut Vec<Chunk>) -> Result<(), Fault> {
        match block["type"].as_str().unwrap_or_default() {
            "text" => to.extend(text(block, "text").map(|text| Chunk::Text(text.to_string()))),
            "thinking" => to.extend(text(block, "thinking").map(|text| Chunk::Thinking(text.to_string()))),
            "redacted_thinking" => to.extend(text(block, "data").map(|data| Chunk::ThinkingSignature(format!("{REDACTED}{data}")))),
            "tool_use" => {
                if self.made >= MAX_CALLS {
                    return Err(Fault::bad_response("The stream has too many calls of tools", data));
                }
                let known = text(block, "id").zip(text(block, "name"));
                let (id, name) = known.ok_or_else(|| Fault::bad_response("A call of a tool has no id or no name", data))?;
                let mut call = OpenCall::new(self.made, id.to_string(), name.to_string());
                self.made += 1;
                // An empty object stands for what is to come.
                let whole = Some(input(&block["input"])).filter(|text| text != "{}").unwrap_or_default();
                call.push(&whole, to);
                self.calls.push((index, call));
            }
            _ => {}
        }
        Ok(())
    }

    fn delta(&mut self, index: u64, delta: &Value, to: &mut Vec<Chunk>) {
        match delta["type"].as_str().unwrap_or_default() {
            "text_delta" => to.extend(text(delta, "text").map(|text| Chunk::Text(text.to_string()))),
            "thinking_delta" => to.extend(text(delta, "thinking").map(|text| Chunk::Thinking(text.to_string()))),
            "signature_delta" => to.extend(text(delta, "signature").map(|text| Chunk::ThinkingSignature(text.to_string()))),
            "input_json_delta" => {
                if let Some((_, call)) = self.calls.iter_mut().find(|(at, _)| *at == index) {
                    call.push(text(delta, "partial_json").unwrap_or_default(), to);
                }
            }
            _ => {}
        }
    }

    fn stop(&mut self, index: u64, to: &mut Vec<Chunk>) {
        if let Some(at) = self.calls.iter().position(|(at, _)| *at == index) {
            self.calls.remove(at).1.complete(to);
        }
    }
}
