// What a model says, as the host reads it: whole answers, and pieces of streams.
use serde::Serialize;

#[derive(Serialize, Clone, Copy, Default)]
pub struct Usage {
    /// All that went in, whether a cache had it or not.
    pub input_tokens: u32,
    pub output_tokens: u32,
    pub reasoning_tokens: u32,
    pub cache_read: u32,
    pub cache_write: u32,
}

#[derive(Serialize, Clone)]
pub struct Function {
    pub name: String,
    /// JSON text.
    pub arguments: String,
}

#[derive(Serialize, Clone)]
pub struct ToolCall {
    pub id: String,
    #[serde(rename = "type")]
    kind: &'static str,
    pub function: Function,
}

impl ToolCall {
    /// No arguments are an empty object: the model's text is parsed as JSON.
    pub fn new(id: String, name: String, arguments: String) -> ToolCall {
        let arguments = if arguments.trim().is_empty() { "{}".to_string() } else { arguments };
        ToolCall { id, kind: "function", function: Function { name, arguments } }
    }
}

/// A whole answer.
#[derive(Serialize, Default)]
pub struct Answer {
    #[serde(serialize_with = "some_text")]
    pub text: String,
    #[serde(serialize_with = "some_calls")]
    pub tool_calls: Vec<ToolCall>,
    #[serde(serialize_with = "some_text")]
    pub thinking: String,
    /// What proves the thinking to the server when it is sent back; hosts that do not know the field leave it out.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub thinking_signature: String,
    pub usage: Option<Usage>,
    pub finish_reason: Option<&'static str>,
}

fn some_text<S: serde::Serializer>(text: &str, to: S) -> Result<S::Ok, S::Error> {
    Some(text).filter(|text| !text.is_empty()).serialize(to)
}

fn some_calls<S: serde::Serializer>(calls: &[ToolCall], to: S) -> Result<S::Ok, S::Error> {
    Some(calls).filter(|calls| !calls.is_empty()).serialize(to)
}

/// A piece of a stream.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Chunk {
    Text(String),
    Thinking(String),
    ThinkingSignature(String),
    ToolUseStart { index: u32, id: String, name: String },
    ToolUseInputDelta { index: u32, partial_json: String },
    ToolUseComplete { index: u32, tool_call: ToolCall },
    Usage(Usage),
    Done { finish_reason: &'static str },
}

#[derive(Serialize)]
pub struct Item {
    chunk: Chunk,
    usage: Option<Usage>,
}

impl From<Chunk> for Item {
    fn from(chunk: Chunk) -> Item {
        let usage = if let Chunk::Usage(usage) = &chunk { Some(*usage) } else { None };
        Item { chunk, usage }
    }
}

/// The call of a tool while its arguments come in pieces.
pub struct OpenCall {
    /// Counts calls, from 0.
    index: u32,
    pub id: String,
    pub name: String,
    arguments: String,
    started: bool,
}

impl OpenCall {
    pub fn new(index: u32, id: String, name: String) -> OpenCall {
        OpenCall { index, id, name, arguments: String::new(), started: false }
    }

    /// Takes a piece; the start is told as soon as there is a name, and pieces that came before it then follow.
    pub fn push(&mut self, piece: &str, to: &mut Vec<Chunk>) {
        self.arguments += piece;
        if !self.started && !self.name.is_empty() {
            self.started = true;
            to.push(Chunk::ToolUseStart { index: self.index, id: self.id.clone(), name: self.name.clone() });
            self.delta(self.arguments.clone(), to);
        } else if self.started {
            self.delta(piece.to_string(), to);
        }
    }

    fn delta(&self, partial_json: String, to: &mut Vec<Chunk>) {
        if !partial_json.is_empty() {
            to.push(Chunk::ToolUseInputDelta { index: self.index, partial_json });
        }
    }

    pub fn complete(mut self, to: &mut Vec<Chunk>) {
        if !self.started {
            self.push("", to);
        }
        if self.arguments.trim().is_empty() {
            self.push("{}", to);
        }
        if self.started {
            let tool_call = ToolCall::new(self.id, self.name, self.arguments);
            to.push(Chunk::ToolUseComplete { index: self.index, tool_call });
        }
    }
}
