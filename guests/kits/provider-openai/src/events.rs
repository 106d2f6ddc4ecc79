// Streams of OpenAI's wire: events without names, usage at the end, and `[DONE]`.
use serde_json::Value;

use crate::answers::{Chunk, OpenCall, Usage};
use crate::exchange::{list, text};
use crate::faults::Fault;
use crate::streams::{json_of, Read, Reader};
use crate::wire::{add_content, arguments, error_in, finish_reason, thinking, usage};

const MAX_CALLS: usize = 1024;

#[derive(Default)]
pub struct Events {
    calls: Vec<(u64, OpenCall)>,
    /// Where the call is that the last piece belonged to.
    last: Option<usize>,
    made: u32,
    finish: Option<String>,
    refused: bool,
    usage: Option<Usage>,
    done: bool,
}

impl Reader for Events {
    fn event(&mut self, data: &[u8], to: &mut Vec<Chunk>) -> Result<Read, Fault> {
        if data.trim_ascii() == b"[DONE]" {
            self.stop(to);
            return Ok(Read::Whole);
        }
        let Some(event) = json_of(data)? else { return Ok(Read::Part) };
        if let Some(fault) = error_in(&event) {
            return Err(fault);
        }
        // Some servers count in each event; what came last is the whole.
        self.usage = usage(&event).or(self.usage.take());
        if let Some(choice) = list(&event, "choices").first() {
            self.delta(&choice["delta"], data, to)?;
            if let Some(reason) = text(choice, "finish_reason") {
                self.finish = Some(reason.to_string());
                self.complete(to);
            }
        }
        Ok(Read::Whole)
    }

    /// Some servers leave `[DONE]` out; one that left out both it and the reason has not got to the end.
    fn end(&mut self, to: &mut Vec<Chunk>) -> Result<(), Fault> {
        if !self.done && self.finish.is_none() {
            return Err(Fault::cut());
        }
        self.stop(to);
        Ok(())
    }
}

impl Events {
    fn stop(&mut self, to: &mut Vec<Chunk>) {
        if self.done {
            return;
        }
        self.done = true;
        self.complete(to);
        to.extend(self.usage.map(Chunk::Usage));
        let finish_reason = if self.refused { "ContentFilter" } else { finish_reason(self.finish.as_deref(), self.made > 0) };
        to.push(Chunk::Done { finish_reason });
    }

    fn delta(&mut self, delta: &Value, data: &[u8], to: &mut Vec<Chunk>) -> Result<(), Fault> {
        let (mut said, mut thought) = (String::new(), thinking(delta).to_string());
        add_content(&delta["content"], &mut said, &mut thought);
        if let Some(refusal) = text(delta, "refusal") {
            self.refused = true;
            said += refusal;
        }
        if !thought.is_empty() {
            to.push(Chunk::Thinking(thought));
        }
        if !said.is_empty() {
            to.push(Chunk::Text(said));
        }
        for part in list(delta, "tool_calls") {
            self.call(part, data, to)?;
        }
        Ok(())
    }

    /// Pieces belong together by their index, those without one by their id, and those with neither belong to the call before. Servers
    /// also give each call the same index and another id, and send pieces of several calls in turn: each is open until the end.
    fn call(&mut self, part: &Value, data: &[u8], to: &mut Vec<Chunk>) -> Result<(), Fault> {
        let index = part["index"].as_u64();
        let id = text(part, "id");
        let function = &part["function"];
        let name = text(function, "name").unwrap_or_default();
        let known = match (index, id) {
            // Another name is another call.
            (None, None) => self.last.filter(|at| [name, &self.calls[*at].1.name].contains(&"") || name == self.calls[*at].1.name),
            _ => self.calls.iter().rposition(|(at, call)| index.is_none_or(|index| index == *at) && id.is_none_or(|id| id == call.id)),
        };
        let at = match known {
            Some(at) => at,
            None => {
                if self.made as usize >= MAX_CALLS {
                    return Err(Fault::bad_response("The stream has too many calls of tools", data));
                }
                let id = id.map_or_else(|| format!("call_{}", self.made), str::to_string);
                self.calls.push((index.unwrap_or(0), OpenCall::new(self.made, id, String::new())));
                self.made += 1;
                self.calls.len() - 1
            }
        };
        self.last = Some(at);
        let call = &mut self.calls[at].1;
        if call.name.is_empty() {
            call.name = name.to_string();
        }
        call.push(&arguments(&function["arguments"]), to);
        Ok(())
    }

    fn complete(&mut self, to: &mut Vec<Chunk>) {
        self.last = None;
        for (_, call) in std::mem::take(&mut self.calls) {
            call.complete(to);
        }
    }
}
