// JSON Schema made into the part of OpenAPI's that Gemini takes: it refuses keywords that it does not know.
use std::cell::Cell;

use serde_json::{json, Map, Value};

const MAX_DEPTH: usize = 32;
/// Parts that one schema can come to, since references can repeat what they name.
const MAX_PARTS: u32 = 4096;
/// Kept as they are.
const KEPT: [&str; 15] = [
    "title",
    "description",
    "enum",
    "required",
    "minItems",
    "maxItems",
    "minProperties",
    "maxProperties",
    "minLength",
    "maxLength",
    "minimum",
    "maximum",
    "pattern",
    "nullable",
    "propertyOrdering",
];
const FORMATS: [&str; 6] = ["enum", "date-time", "float", "double", "int32", "int64"];

pub fn plain_schema(schema: &Value) -> Value {
    Reader { root: schema, left: Cell::new(MAX_PARTS) }.plain(schema, &[])
}

struct Reader<'a> {
    root: &'a Value,
    left: Cell<u32>,
}

impl<'a> Reader<'a> {
    /// `within` has the references that led here. What contains itself says nothing the second time.
    fn plain(&self, schema: &'a Value, within: &[&'a str]) -> Value {
        self.left.set(self.left.get().saturating_sub(1));
        let Some(fields) = schema.as_object().filter(|_| within.len() < MAX_DEPTH && self.left.get() > 0) else { return json!({}) };
        if let Some(target) = fields.get("$ref").and_then(Value::as_str) {
            let found = target.strip_prefix('#').filter(|_| !within.contains(&target)).and_then(|path| self.root.pointer(path));
            return found.map_or_else(|| json!({}), |found| self.plain(found, &[within, &[target]].concat()));
        }
        let mut made = Map::new();
        let inner = |schema: &'a Value| self.plain(schema, &[within, &[""]].concat());
        add_type(&mut made, fields);
        for (name, value) in fields {
            add_keyword(&mut made, name, value, inner);
        }
        Value::Object(made)
    }
}

fn add_keyword<'a>(made: &mut Map<String, Value>, name: &str, value: &'a Value, inner: impl Fn(&'a Value) -> Value) {
    let made_of = match name {
        "properties" => {
            let properties = value.as_object().into_iter().flatten();
            properties.map(|(name, schema)| (name.clone(), inner(schema))).collect()
        }
        "items" => inner(value),
        "anyOf" | "oneOf" => return add_choices(made, value, inner),
        "allOf" => {
            for part in value.as_array().into_iter().flatten() {
                if let Value::Object(part) = inner(part) {
                    merge(made, part);
                }
            }
            return;
        }
        "const" if value.is_string() => return drop(made.insert("enum".to_string(), json!([value]))),
        "format" if FORMATS.iter().any(|format| value == format) => value.clone(),
        // Only texts can be listed.
        "enum" if !value.as_array().is_some_and(|items| items.iter().all(Value::is_string)) => return,
        _ if KEPT.contains(&name) => value.clone(),
        _ => return,
    };
    made.insert(name.to_string(), made_of);
}

/// One type; null beside it becomes `nullable`.
fn add_type(made: &mut Map<String, Value>, fields: &Map<String, Value>) {
    match fields.get("type") {
        Some(Value::String(name)) => drop(made.insert("type".to_string(), json!(name))),
        Some(Value::Array(names)) => {
            let mut others = names.iter().filter(|name| *name != "null").cloned().collect::<Vec<_>>();
            if others.len() < names.len() {
                made.insert("nullable".to_string(), json!(true));
            }
            match others.len() {
                0 => {}
                1 => drop(made.insert("type".to_string(), others.remove(0))),
                _ => drop(made.insert("anyOf".to_string(), others.into_iter().map(|name| json!({"type": name})).collect())),
            }
        }
        _ if fields.contains_key("properties") => drop(made.insert("type".to_string(), json!("object"))),
        _ => {}
    }
}

/// Null as one of the choices becomes `nullable`; a choice that is left alone takes the place of all.
fn add_choices<'a>(made: &mut Map<String, Value>, choices: &'a Value, inner: impl Fn(&'a Value) -> Value) {
    let choices = choices.as_array().map(Vec::as_slice).unwrap_or_default();
    let mut others: Vec<Value> = choices.iter().filter(|choice| choice["type"] != "null").map(inner).collect();
    if others.len() < choices.len() {
        made.insert("nullable".to_string(), json!(true));
    }
    match (others.len(), others.first_mut()) {
        (1, Some(Value::Object(only))) => merge(made, std::mem::take(only)),
        (0, _) => {}
        _ => drop(made.insert("anyOf".to_string(), Value::Array(others))),
    }
}

/// Properties and what is required are added up; of anything else the last one counts.
fn merge(made: &mut Map<String, Value>, part: Map<String, Value>) {
    for (name, value) in part {
        match (made.get_mut(&name), value) {
            (Some(Value::Object(known)), Value::Object(more)) if name == "properties" => known.extend(more),
            (Some(Value::Array(known)), Value::Array(more)) if name == "required" => known.extend(more),
            (_, value) => drop(made.insert(name, value)),
        }
    }
}
