//! A part of JSON Schema, draft 2020-12: what it is stands in docs/gateway-plugins.md.
use crate::gateway_json::Value;
use crate::schema_pattern::Pattern;

/// Schemas inside of schemas that are followed, references included.
const MAX_DEPTH: usize = 128;
/// Steps that one check may take: a schema may refer to itself.
const MAX_STEPS: usize = 200_000;

/// Keywords that say nothing of a value.
const REMARKS: [&str; 16] = [
    "title",
    "description",
    "default",
    "examples",
    "deprecated",
    "readOnly",
    "writeOnly",
    "format",
    "$schema",
    "$id",
    "$comment",
    "$defs",
    "definitions",
    "contentEncoding",
    "contentMediaType",
    "$anchor",
];
/// Keywords that are checked.
const CHECKED: [&str; 25] = [
    "type",
    "enum",
    "const",
    "properties",
    "required",
    "additionalProperties",
    "items",
    "prefixItems",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "minProperties",
    "maxProperties",
    "pattern",
    "anyOf",
    "oneOf",
    "allOf",
    "not",
    "$ref",
    "uniqueItems",
];

/// The first thing in a schema that cannot be checked.
pub fn unsupported(schema: &Value) -> Option<String> {
    look(schema, schema, 0)
}

fn look(root: &Value, schema: &Value, depth: usize) -> Option<String> {
    if depth > MAX_DEPTH {
        return Some("it is nested too deeply".to_string());
    }
    let entries = match schema {
        Value::Object(entries) => entries,
        Value::Bool(_) => return None,
        _ => return Some("a schema is neither an object nor true or false".to_string()),
    };
    for (key, value) in entries {
        let all = |values: &[Value]| values.iter().find_map(|each| look(root, each, depth + 1));
        let whole = |value: &Value| if value.as_whole().is_some() { None } else { Some(format!("\"{}\" is not a whole number", key)) };
        let found = match key.as_str() {
            "properties" | "$defs" | "definitions" => match value {
                Value::Object(members) => members.iter().find_map(|(_, each)| look(root, each, depth + 1)),
                _ => Some(format!("\"{}\" is not an object", key)),
            },
            "additionalProperties" | "items" | "not" => look(root, value, depth + 1),
            "prefixItems" | "anyOf" | "oneOf" | "allOf" => match value {
                Value::List(values) if !values.is_empty() => all(values),
                _ => Some(format!("\"{}\" is not an array of schemas", key)),
            },
            "pattern" => match value.as_text().map(Pattern::parse) {
                Some(Some(_)) => None,
                _ => Some("\"pattern\" is not one of the simple ones".to_string()),
            },
            "$ref" => match value.as_text().map(|path| resolve(root, path)) {
                Some(Some(_)) => None,
                _ => Some("\"$ref\" does not lead to a place in this schema".to_string()),
            },
            "type" => {
                let known = |value: &Value| value.as_text().map_or(false, |name| TYPES.contains(&name));
                if known(value) || (!value.as_list().is_empty() && value.as_list().iter().all(known)) {
                    None
                } else {
                    Some("\"type\" is not a type".to_string())
                }
            }
            "enum" | "required" => match value {
                Value::List(values) if key == "enum" || values.iter().all(|each| each.as_text().is_some()) => None,
                _ => Some(format!("\"{}\" is not an array", key)),
            },
            "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum" if value.as_number().is_none() => Some(format!("\"{}\" is not a number", key)),
            "minLength" | "maxLength" | "minItems" | "maxItems" | "minProperties" | "maxProperties" => whole(value),
            "uniqueItems" if !matches!(value, Value::Bool(_)) => Some("\"uniqueItems\" is neither true nor false".to_string()),
            name if CHECKED.contains(&name) || REMARKS.contains(&name) => None,
            name => Some(format!("the keyword \"{}\" is not known", name)),
        };
        if found.is_some() {
            return found;
        }
    }
    None
}

const TYPES: [&str; 7] = ["null", "boolean", "number", "integer", "string", "array", "object"];

/// `#`, or a JSON pointer (RFC 6901) behind it.
fn resolve<'a>(root: &'a Value, path: &str) -> Option<&'a Value> {
    let pointer = path.strip_prefix('#')?;
    if pointer.is_empty() {
        return Some(root);
    }
    let mut at = root;
    for part in pointer.strip_prefix('/')?.split('/') {
        let name = part.replace("~1", "/").replace("~0", "~");
        at = match at {
            Value::Object(entries) => entries.iter().find(|(key, _)| *key == name).map(|(_, value)| value)?,
            Value::List(values) => values.get(name.parse::<usize>().ok()?)?,
            _ => return None,
        };
    }
    match at {
        Value::Object(_) | Value::Bool(_) => Some(at),
        _ => None,
    }
}

/// What is said of a check that was not finished.
const TOO_LONG: &str = "the schema takes too many steps to check";

pub struct Checker<'a> {
    root: &'a Value,
    steps: usize,
    /// The check was not finished: whether the value fits is not known, and `not` does not turn that round.
    gave_up: bool,
}

impl<'a> Checker<'a> {
    pub fn new(root: &'a Value) -> Checker<'a> {
        Checker { root, steps: 0, gave_up: false }
    }

    /// Why a value does not fit, with the place of the fault; none if it fits.
    pub fn check(&mut self, value: &Value) -> Option<String> {
        if let Some((path, name)) = doubled(value) {
            return Some(at(&path, &format!("has the member {} twice", brief(&Value::text(name)))));
        }
        let found = self.fault(self.root, value, "", 0);
        if self.gave_up {
            return Some(TOO_LONG.to_string());
        }
        found
    }

    fn give_up(&mut self) -> Option<String> {
        self.gave_up = true;
        Some(TOO_LONG.to_string())
    }

    fn fault(&mut self, schema: &'a Value, value: &Value, path: &str, depth: usize) -> Option<String> {
        self.steps += 1;
        if self.gave_up || depth > MAX_DEPTH || self.steps > MAX_STEPS {
            return self.give_up();
        }
        let entries = match schema {
            Value::Bool(true) => return None,
            Value::Object(entries) => entries,
            _ => return Some(at(path, "must not be there")),
        };
        for (key, wanted) in entries {
            let found = match key.as_str() {
                "$ref" => match wanted.as_text().and_then(|path| resolve(self.root, path)) {
                    Some(target) => self.fault(target, value, path, depth + 1),
                    None => Some(at(path, "refers to a schema that is not there")),
                },
                "type" => wrong_type(wanted, value, path),
                "const" if !equal(wanted, value) => Some(at(path, &format!("must be {}", brief(wanted)))),
                "enum" if !wanted.as_list().iter().any(|each| equal(each, value)) => Some(at(path, &format!("must be one of {}", brief(wanted)))),
                "anyOf" => self.any_of(wanted.as_list(), value, path, depth),
                "oneOf" => {
                    let fits = wanted.as_list().iter().filter(|each| self.fault(each, value, path, depth + 1).is_none()).count();
                    match fits {
                        1 => None,
                        0 => self.any_of(wanted.as_list(), value, path, depth),
                        _ => Some(at(path, "fits more than one of the schemas in \"oneOf\"")),
                    }
                }
                "allOf" => wanted.as_list().iter().find_map(|each| self.fault(each, value, path, depth + 1)),
                "not" if self.fault(wanted, value, path, depth + 1).is_none() => Some(at(path, "fits the schema in \"not\"")),
                _ => match value {
                    Value::Object(members) => self.object_fault(schema, key, wanted, members, path, depth),
                    Value::List(items) => self.list_fault(schema, key, wanted, items, path, depth),
                    Value::Text(text) => text_fault(key, wanted, text, path),
                    Value::Number(_) => number_fault(key, wanted, value, path),
                    _ => None,
                },
            };
            if found.is_some() {
                return found;
            }
        }
        None
    }

    /// The fault of the first schema, if there is no other to tell of.
    fn any_of(&mut self, schemas: &'a [Value], value: &Value, path: &str, depth: usize) -> Option<String> {
        let mut first = None;
        for schema in schemas {
            let fault = self.fault(schema, value, path, depth + 1)?;
            first = first.or(Some(fault));
        }
        Some(match (schemas.len(), first) {
            (1, Some(fault)) => fault,
            (count, Some(fault)) => format!("{} fits none of {} schemas, of the first because {}", place(path), count, fault),
            _ => at(path, "fits no schema"),
        })
    }

    fn object_fault(&mut self, schema: &'a Value, key: &str, wanted: &'a Value, members: &[(String, Value)], path: &str, depth: usize) -> Option<String> {
        match key {
            "properties" => wanted.entries().iter().find_map(|(name, each)| {
                let (_, value) = members.iter().find(|(known, _)| known == name)?;
                self.fault(each, value, &format!("{}/{}", path, escaped(name)), depth + 1)
            }),
            "required" => {
                let missing = wanted.as_list().iter().filter_map(Value::as_text).find(|name| !members.iter().any(|(known, _)| known == name));
                missing.map(|name| at(path, &format!("has no member \"{}\"", name)))
            }
            "additionalProperties" => {
                let known = schema.get("properties").entries();
                let others = members.iter().filter(|(name, _)| !known.iter().any(|(other, _)| other == name));
                for (name, value) in others {
                    let path = format!("{}/{}", path, escaped(name));
                    if *wanted == Value::Bool(false) {
                        return Some(at(&path, "is a member that is not allowed"));
                    }
                    if let Some(fault) = self.fault(wanted, value, &path, depth + 1) {
                        return Some(fault);
                    }
                }
                None
            }
            "minProperties" if members.len() < wanted.as_whole()? => Some(at(path, &format!("has fewer than {} members", wanted.as_whole()?))),
            "maxProperties" if members.len() > wanted.as_whole()? => Some(at(path, &format!("has more than {} members", wanted.as_whole()?))),
            _ => None,
        }
    }

    fn list_fault(&mut self, schema: &'a Value, key: &str, wanted: &'a Value, items: &[Value], path: &str, depth: usize) -> Option<String> {
        match key {
            "prefixItems" => {
                let pairs = wanted.as_list().iter().zip(items).enumerate();
                pairs.into_iter().find_map(|(index, (each, value))| self.fault(each, value, &format!("{}/{}", path, index), depth + 1))
            }
            "items" => {
                let first = schema.get("prefixItems").as_list().len();
                let rest = items.iter().enumerate().skip(first);
                rest.into_iter().find_map(|(index, value)| self.fault(wanted, value, &format!("{}/{}", path, index), depth + 1))
            }
            "minItems" if items.len() < wanted.as_whole()? => Some(at(path, &format!("has fewer than {} elements", wanted.as_whole()?))),
            "maxItems" if items.len() > wanted.as_whole()? => Some(at(path, &format!("has more than {} elements", wanted.as_whole()?))),
            "uniqueItems" if *wanted == Value::Bool(true) => {
                self.steps += items.len() * items.len() / 2;
                if self.steps > MAX_STEPS {
                    return self.give_up();
                }
                let double = items.iter().enumerate().find(|(index, value)| items[..*index].iter().any(|other| equal(other, value)));
                double.map(|(index, _)| at(&format!("{}/{}", path, index), "is there twice"))
            }
            _ => None,
        }
    }
}

/// The place of a member that an object has twice, and its name: readers do not agree on which of them counts.
fn doubled(value: &Value) -> Option<(String, &str)> {
    match value {
        Value::Object(members) => {
            let mut names: Vec<&str> = members.iter().map(|(name, _)| name.as_str()).collect();
            names.sort_unstable();
            if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
                return Some((String::new(), pair[0]));
            }
            members.iter().find_map(|(name, each)| {
                let (path, twice) = doubled(each)?;
                Some((format!("/{}{}", escaped(name), path), twice))
            })
        }
        Value::List(items) => items.iter().enumerate().find_map(|(index, each)| {
            let (path, twice) = doubled(each)?;
            Some((format!("/{}{}", index, path), twice))
        }),
        _ => None,
    }
}

fn wrong_type(wanted: &Value, value: &Value, path: &str) -> Option<String> {
    let found = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::Text(_) => "string",
        Value::List(_) => "array",
        Value::Object(_) => "object",
    };
    let fits = |name: &str| name == found || (name == "integer" && value.as_number().map_or(false, |number| number.fract() == 0.0));
    let names: Vec<&str> = match wanted {
        Value::Text(name) => vec![name],
        many => many.as_list().iter().filter_map(Value::as_text).collect(),
    };
    if names.iter().any(|name| fits(name)) {
        None
    } else {
        Some(at(path, &format!("is of type {}, but must be of type {}", found, names.join(" or "))))
    }
}

fn text_fault(key: &str, wanted: &Value, text: &str, path: &str) -> Option<String> {
    match key {
        "minLength" if text.chars().count() < wanted.as_whole()? => Some(at(path, &format!("has fewer than {} characters", wanted.as_whole()?))),
        "maxLength" if text.chars().count() > wanted.as_whole()? => Some(at(path, &format!("has more than {} characters", wanted.as_whole()?))),
        "pattern" => match Pattern::parse(wanted.as_text()?)?.is_in(text) {
            true => None,
            false => Some(at(path, &format!("does not match the pattern {}", brief(wanted)))),
        },
        _ => None,
    }
}

fn number_fault(key: &str, wanted: &Value, value: &Value, path: &str) -> Option<String> {
    let (number, limit) = (value.as_number()?, wanted.as_number()?);
    let (fails, says) = match key {
        "minimum" => (number < limit, "is less than"),
        "maximum" => (number > limit, "is more than"),
        "exclusiveMinimum" => (number <= limit, "is not more than"),
        "exclusiveMaximum" => (number >= limit, "is not less than"),
        _ => return None,
    };
    if fails {
        Some(at(path, &format!("{} {}", says, brief(wanted))))
    } else {
        None
    }
}

/// The same JSON: numbers by their value, objects whatever the order of their members.
fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(one), Value::Number(other)) => one == other || a.as_number() == b.as_number(),
        (Value::List(one), Value::List(other)) => one.len() == other.len() && one.iter().zip(other).all(|(a, b)| equal(a, b)),
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len() && one.iter().all(|(name, value)| other.iter().any(|(known, each)| known == name && equal(value, each)))
        }
        _ => a == b,
    }
}

fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

fn place(path: &str) -> String {
    if path.is_empty() {
        "the whole value".to_string()
    } else {
        shortened(path, 300)
    }
}

fn at(path: &str, what: &str) -> String {
    format!("{} {}", place(path), what)
}

/// A value as JSON, for a message.
fn brief(value: &Value) -> String {
    shortened(&value.write(), 200)
}

fn shortened(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_string();
    }
    text.chars().take(most).collect::<String>() + "…"
}
