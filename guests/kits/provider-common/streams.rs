// Server-sent events, cut anywhere, and the parsers that are open.
use std::cell::RefCell;
use std::collections::BTreeMap;

use crate::answers::{Chunk, Item};
use crate::faults::Fault;

/// Bytes of an event that has not ended.
const MAX_EVENT_BYTES: usize = 8 << 20;
const MAX_PARSERS: usize = 4096;

/// What a wire makes of events.
pub trait Reader: Default {
    fn event(&mut self, data: &[u8], to: &mut Vec<Chunk>) -> Result<Read, Fault>;
    /// The stream is over; an error if the model had not stopped.
    fn end(&mut self, to: &mut Vec<Chunk>) -> Result<(), Fault>;
}

/// Whether the data made sense.
#[derive(PartialEq)]
pub enum Read {
    Whole,
    /// It is the beginning of JSON, and more lines of data may follow.
    Part,
}

/// The bytes of an event as JSON; none if it only begins. An event may have several lines of data, but each is tried by itself
/// first, since there are servers without blank lines between events.
pub fn json_of(data: &[u8]) -> Result<Option<serde_json::Value>, Fault> {
    match serde_json::from_slice(data) {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.is_eof() => Ok(None),
        Err(error) => Err(Fault::bad_response(format!("An event of the stream is no JSON: {error}"), data)),
    }
}

/// One stream.
#[derive(Default)]
pub struct Stream<R> {
    reader: R,
    /// The line that has begun.
    line: Vec<u8>,
    /// Lines of data that are no whole JSON yet.
    data: Vec<u8>,
    after_return: bool,
    /// An error that has to wait until what came before it was given out.
    held: Option<Fault>,
    secret: String,
}

impl<R: Reader> Stream<R> {
    pub fn new(secret: String) -> Stream<R> {
        Stream { reader: R::default(), line: Vec::new(), data: Vec::new(), after_return: false, held: None, secret }
    }

    pub fn parse(&mut self, piece: &[u8]) -> Result<Vec<Item>, Fault> {
        let mut chunks = Vec::new();
        let outcome = self.take(piece, &mut chunks);
        self.given(chunks, outcome)
    }

    pub fn finish(&mut self) -> Result<Vec<Item>, Fault> {
        let mut chunks = Vec::new();
        // A last line without its end, and a last event without a blank line.
        let outcome = self.take(b"\n\n", &mut chunks).and_then(|()| self.reader.end(&mut chunks));
        outcome.map_err(|fault| fault.without(&self.secret))?;
        Ok(chunks.into_iter().map(Item::from).collect())
    }

    fn given(&mut self, chunks: Vec<Chunk>, outcome: Result<(), Fault>) -> Result<Vec<Item>, Fault> {
        let items: Vec<Item> = chunks.into_iter().map(Item::from).collect();
        match outcome.map_err(|fault| fault.without(&self.secret)) {
            Err(fault) if items.is_empty() => Err(fault),
            Err(fault) => {
                self.held = Some(fault);
                Ok(items)
            }
            Ok(()) => Ok(items),
        }
    }

    fn take(&mut self, piece: &[u8], to: &mut Vec<Chunk>) -> Result<(), Fault> {
        if let Some(fault) = self.held.take() {
            return Err(fault);
        }
        for byte in piece {
            // A line ends with either of them, or with both.
            let is_second = *byte == b'\n' && self.after_return;
            self.after_return = *byte == b'\r';
            if is_second {
                continue;
            }
            if *byte == b'\n' || *byte == b'\r' {
                let line = std::mem::take(&mut self.line);
                self.end_of_line(&line, to)?;
                self.line = line;
                self.line.clear();
            } else {
                self.line.push(*byte);
            }
        }
        if self.line.len() + self.data.len() > MAX_EVENT_BYTES {
            return Err(Fault::bad_response("An event of the stream is too long", &self.line));
        }
        Ok(())
    }

    fn end_of_line(&mut self, line: &[u8], to: &mut Vec<Chunk>) -> Result<(), Fault> {
        if line.is_empty() && !self.data.is_empty() {
            let data = std::mem::take(&mut self.data);
            return match self.reader.event(&data, to)? {
                Read::Whole => Ok(()),
                Read::Part => Err(Fault::bad_response("An event of the stream is not whole", &data)),
            };
        }
        // Comments, names of events and the like say nothing that the data does not.
        let Some(data) = line.strip_prefix(b"data:") else { return Ok(()) };
        let data = data.strip_prefix(b" ").unwrap_or(data);
        if !self.data.is_empty() {
            self.data.push(b'\n');
            self.data.extend_from_slice(data);
        } else if !data.is_empty() && self.reader.event(data, to)? == Read::Part {
            self.data = data.to_vec();
        }
        Ok(())
    }
}

/// The parsers that are open, by number; numbers begin at 1.
pub struct Parsers<R> {
    last: u32,
    by_id: BTreeMap<u32, Stream<R>>,
}

impl<R> Default for Parsers<R> {
    fn default() -> Self {
        Parsers { last: 0, by_id: BTreeMap::new() }
    }
}

impl<R: Reader> Parsers<R> {
    pub fn start(&mut self, secret: String) -> Result<u32, Fault> {
        if self.by_id.len() >= MAX_PARSERS {
            return Err(Fault::new("plugin_error", "Too many streams are open"));
        }
        self.last = self.last.wrapping_add(1).max(1);
        self.by_id.insert(self.last, Stream::new(secret));
        Ok(self.last)
    }

    pub fn parse(&mut self, id: u32, piece: &[u8]) -> Result<Vec<Item>, Fault> {
        self.by_id.get_mut(&id).ok_or_else(no_parser)?.parse(piece)
    }

    pub fn finish(&mut self, id: u32) -> Result<Vec<Item>, Fault> {
        self.by_id.remove(&id).ok_or_else(no_parser)?.finish()
    }

    pub fn close(&mut self, id: u32) {
        self.by_id.remove(&id);
    }
}

fn no_parser() -> Fault {
    Fault::invalid("There is no such parser")
}

pub type Cell<R> = RefCell<Parsers<R>>;
