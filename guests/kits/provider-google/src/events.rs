// Streams of Gemini's wire: each event is an answer with the next parts; counts are those of the whole so far.
use crate::answers::{Chunk, Usage};
use crate::exchange::{list, text};
use crate::faults::Fault;
use crate::streams::{json_of, Read, Reader};
use crate::wire::{error_in, finish_reason, is_blocked, signature, tool_call, usage};

const MAX_CALLS: u32 = 1024;

#[derive(Default)]
pub struct Events {
    made: u32,
    finish: Option<String>,
    blocked: bool,
    usage: Option<Usage>,
    done: bool,
}

impl Reader for Events {
    fn event(&mut self, data: &[u8], to: &mut Vec<Chunk>) -> Result<Read, Fault> {
        let Some(event) = json_of(data)? else { return Ok(Read::Part) };
        if let Some(fault) = error_in(&event) {
            return Err(fault);
        }
        self.usage = usage(&event).or(self.usage.take());
        self.blocked |= is_blocked(&event);
        let Some(candidate) = list(&event, "candidates").first() else { return Ok(Read::Whole) };
        for part in list(&candidate["content"], "parts") {
            if part["functionCall"].is_object() {
                if self.made >= MAX_CALLS {
                    return Err(Fault::bad_response("The stream has too many calls of tools", data));
                }
                let call = tool_call(&event, self.made as usize, &part["functionCall"]);
                let tool_call = call.ok_or_else(|| Fault::bad_response("A call of a tool has no name", data))?;
                to.extend(signature(part).map(Chunk::ThinkingSignature));
                let index = self.made;
                self.made += 1;
                to.push(Chunk::ToolUseStart { index, id: tool_call.id.clone(), name: tool_call.function.name.clone() });
                to.push(Chunk::ToolUseInputDelta { index, partial_json: tool_call.function.arguments.clone() });
                to.push(Chunk::ToolUseComplete { index, tool_call });
            } else if let Some(text) = text(part, "text") {
                to.push(if part["thought"] == true { Chunk::Thinking(text.to_string()) } else { Chunk::Text(text.to_string()) });
            }
        }
        self.finish = text(candidate, "finishReason").map(str::to_string).or(self.finish.take());
        Ok(Read::Whole)
    }

    fn end(&mut self, to: &mut Vec<Chunk>) -> Result<(), Fault> {
        if self.done {
            return Ok(());
        }
        if self.finish.is_none() && !self.blocked {
            return Err(Fault::cut());
        }
        self.done = true;
        to.extend(self.usage.map(Chunk::Usage));
        let finish_reason = if self.blocked { "ContentFilter" } else { finish_reason(self.finish.as_deref(), self.made > 0) };
        to.push(Chunk::Done { finish_reason });
        Ok(())
    }
}
