// What is said: messages and their parts as the host gives them.
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::faults::Fault;

#[derive(Deserialize)]
pub struct ChatInput {
    pub cfg: Map<String, Value>,
    pub messages: Vec<Message>,
    pub tools: Option<Vec<Value>>,
}

#[derive(Deserialize)]
pub struct Message {
    role: String,
    pub content: Vec<Content>,
    pub cache: Option<Value>,
}

impl Message {
    pub fn is_assistant(&self) -> bool {
        self.role == "Assistant"
    }
}

/// A part of a message; which fields there are depends on the type. A tagged type would hold each byte as a JSON value first.
#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Content {
    #[serde(rename = "type")]
    pub kind: String,
    pub text: String,
    pub signature: Option<String>,
    pub mime_type: Option<String>,
    pub data: Vec<u8>,
    pub url: String,
    pub uri: String,
    pub id: String,
    pub name: Option<String>,
    pub description: Option<String>,
    pub arguments: Value,
    pub is_error: bool,
    pub content: Vec<Content>,
    /// Of OpenAI's images.
    pub detail: Option<Value>,
    /// Of Anthropic's blocks.
    pub cache_control: Option<Value>,
}

impl Content {
    pub fn name(&self) -> &str {
        self.name.as_deref().unwrap_or_default()
    }

    pub fn mime(&self, standard: &'static str) -> &str {
        self.mime_type.as_deref().filter(|mime| !mime.is_empty()).unwrap_or(standard)
    }

    /// The arguments of a tool's call as JSON text.
    pub fn arguments_text(&self) -> String {
        match &self.arguments {
            Value::Null => "{}".to_string(),
            Value::String(text) if text.trim().is_empty() => "{}".to_string(),
            // A model's own text that nobody parsed.
            Value::String(text) => text.clone(),
            value => value.to_string(),
        }
    }

    /// The arguments as the object that a tool gets.
    pub fn arguments_object(&self) -> Result<Value, Fault> {
        let value: Value = serde_json::from_str(&self.arguments_text()).unwrap_or(Value::Null);
        if value.is_object() {
            return Ok(value);
        }
        Err(Fault::invalid(format!("The arguments of the call of \"{}\" are no JSON object", self.name())))
    }

    /// What can be said of a link in words.
    pub fn link_text(&self) -> String {
        let name = self.name.as_deref().map(|name| format!("{name}: ")).unwrap_or_default();
        let about = self.description.as_deref().map(|about| format!(" ({about})")).unwrap_or_default();
        format!("{name}{}{about}", self.uri)
    }

    /// The texts of a tool's result.
    pub fn result_text(&self) -> String {
        let texts = self.content.iter().filter_map(|part| match part.kind.as_str() {
            "text" => Some(part.text.clone()),
            "resource_link" => Some(part.link_text()),
            _ => None,
        });
        texts.collect::<Vec<_>>().join("\n")
    }

    pub fn unsupported(&self) -> Fault {
        Fault::unsupported(format!("This provider cannot send content of the type \"{}\"", self.kind))
    }
}

/// Media type and text in base64 of a `data:` URL.
pub fn data_url(url: &str) -> Option<(&str, &str)> {
    url.strip_prefix("data:")?.split_once(";base64,")
}

/// The function that a tool describes.
pub fn function_of(tool: &Value) -> Result<&Value, Fault> {
    Some(&tool["function"]).filter(|function| function["name"].is_string()).ok_or_else(|| Fault::invalid("A tool is no function with a name"))
}
