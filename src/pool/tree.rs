//! A pool file as a tree of values that know where they stand, whether it was TOML or JSON.

use serde_json::{Number, Value};
use toml::de::{DeTable, DeValue};

/// A place in a text, counted from 1; columns are characters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The line.
    pub line: usize,
    /// The character in the line.
    pub column: usize,
}

impl Place {
    /// The place of a byte offset.
    fn of(text: &str, offset: usize) -> Self {
        let before = text.get(..offset.min(text.len())).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Self {
            line: before.bytes().filter(|byte| *byte == b'\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        }
    }
}

/// A value and where it begins.
#[derive(Debug, Clone)]
pub struct Node {
    /// The offset in bytes.
    offset: usize,
    /// The value itself.
    pub value: Kind,
}

/// What a value is.
#[derive(Debug, Clone)]
pub enum Kind {
    /// `null`.
    Null,
    /// A switch.
    Bool(bool),
    /// A number, as it was written.
    Number(Number),
    /// A text, or one of TOML's dates.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// A table, in TOML's words, or an object, in JSON's.
    Table(Vec<Entry>),
}

/// A name in a table and its value.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The name.
    pub name: String,
    /// Where the name begins, in bytes.
    offset: usize,
    /// The value.
    pub node: Node,
}

/// What keeps a text from being read at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unreadable {
    /// It is not TOML, or not JSON; in the parser's words.
    Syntax(String),
    /// A number beyond what computers count with.
    Number,
    /// A name stands twice in a JSON object.
    Twice(String),
}

/// A text and the tree that it holds.
#[derive(Debug)]
pub struct Tree<'a> {
    text: &'a str,
    /// The whole document.
    pub root: Node,
}

impl<'a> Tree<'a> {
    /// Reads TOML; the parser bounds the nesting. Gives every fault with its place.
    pub fn toml(text: &'a str) -> Result<Self, Vec<(Place, Unreadable)>> {
        let (table, errors) = DeTable::parse_recoverable(text);
        if !errors.is_empty() {
            let fault = |error: &toml::de::Error| {
                let offset = error.span().map_or(0, |span| span.start);
                (Place::of(text, offset), Unreadable::Syntax(error.message().to_owned()))
            };
            return Err(errors.iter().map(fault).collect());
        }
        let mut faults = Vec::new();
        let offset = table.span().start;
        let root = Node { offset, value: toml_table(table.into_inner(), &mut faults) };
        let faults: Vec<_> =
            faults.into_iter().map(|offset| (Place::of(text, offset), Unreadable::Number)).collect();
        if faults.is_empty() { Ok(Self { text, root }) } else { Err(faults) }
    }

    /// Reads JSON; nesting beyond 127 levels is refused. Gives every fault with its place.
    pub fn json(text: &'a str) -> Result<Self, Vec<(Place, Unreadable)>> {
        // Into a value, since only then the depth is bounded.
        if let Err(error) = serde_json::from_str::<Value>(text) {
            let place = Place { line: error.line().max(1), column: error.column().max(1) };
            let words = error.to_string();
            let words = words.rsplit_once(" at line ").map_or(words.as_str(), |(words, _)| words);
            return Err(vec![(place, Unreadable::Syntax(words.to_owned()))]);
        }
        // From here on the text is known to be JSON of bounded depth.
        let mut reader = JsonReader { text, offset: 0, faults: Vec::new() };
        let root = reader.value();
        let faults: Vec<_> =
            reader.faults.into_iter().map(|(offset, fault)| (Place::of(text, offset), fault)).collect();
        if faults.is_empty() { Ok(Self { text, root }) } else { Err(faults) }
    }

    /// Where a field stands; if it is left out, where what should hold it stands. `path` is written as in
    /// `channels[0].headers.X-Title`.
    pub fn place(&self, path: &str) -> Place {
        let mut offset = self.root.offset;
        let (mut node, mut rest) = (&self.root, path);
        while !rest.is_empty() {
            if let Some(inner) = rest.strip_prefix('[') {
                let Some((position, after)) = inner.split_once(']') else { break };
                let Kind::List(list) = &node.value else { break };
                let Some(item) = position.parse().ok().and_then(|position: usize| list.get(position)) else {
                    break;
                };
                (node, rest, offset) = (item, after, item.offset);
            } else {
                let name = rest.strip_prefix('.').unwrap_or(rest);
                let Kind::Table(entries) = &node.value else { break };
                // A name may hold points and brackets itself, so the longest one that fits is meant.
                let fits = |entry: &&Entry| {
                    name.strip_prefix(entry.name.as_str())
                        .is_some_and(|after| after.is_empty() || after.starts_with(['.', '[']))
                };
                let Some(entry) = entries.iter().filter(fits).max_by_key(|entry| entry.name.len()) else {
                    break;
                };
                (node, rest, offset) = (&entry.node, &name[entry.name.len()..], entry.offset);
            }
        }
        Place::of(self.text, offset)
    }
}

impl Node {
    /// The same as a JSON value, without places.
    pub fn json(&self) -> Value {
        match &self.value {
            Kind::Null => Value::Null,
            Kind::Bool(switch) => Value::Bool(*switch),
            Kind::Number(number) => Value::Number(number.clone()),
            Kind::Text(text) => Value::String(text.clone()),
            Kind::List(list) => Value::Array(list.iter().map(Self::json).collect()),
            Kind::Table(entries) => {
                Value::Object(entries.iter().map(|entry| (entry.name.clone(), entry.node.json())).collect())
            }
        }
    }
}

/// Turns TOML's tree into ours; notes the offsets of numbers that do not fit.
fn toml_table(table: DeTable<'_>, faults: &mut Vec<usize>) -> Kind {
    let entries = table.into_iter().map(|(name, value)| {
        let offset = name.span().start;
        let node = Node { offset: value.span().start, value: toml_value(value.into_inner(), offset, faults) };
        Entry { name: name.into_inner().into_owned(), offset, node }
    });
    Kind::Table(entries.collect())
}

fn toml_value(value: DeValue<'_>, offset: usize, faults: &mut Vec<usize>) -> Kind {
    let number = match &value {
        DeValue::Integer(integer) => {
            i64::from_str_radix(integer.as_str(), integer.radix()).ok().map(Number::from)
        }
        DeValue::Float(float) => float.as_str().parse().ok().and_then(Number::from_f64),
        DeValue::String(text) => return Kind::Text(text.to_string()),
        DeValue::Boolean(switch) => return Kind::Bool(*switch),
        DeValue::Datetime(datetime) => return Kind::Text(datetime.to_string()),
        DeValue::Array(_) | DeValue::Table(_) => None,
    };
    match (value, number) {
        (_, Some(number)) => Kind::Number(number),
        (DeValue::Table(table), _) => toml_table(table, faults),
        (DeValue::Array(list), _) => Kind::List(
            list.into_iter()
                .map(|item| {
                    let offset = item.span().start;
                    Node { offset, value: toml_value(item.into_inner(), offset, faults) }
                })
                .collect(),
        ),
        _ => {
            faults.push(offset);
            Kind::Null
        }
    }
}

/// Reads a text that is known to be JSON.
struct JsonReader<'a> {
    text: &'a str,
    offset: usize,
    faults: Vec<(usize, Unreadable)>,
}

impl JsonReader<'_> {
    /// The next byte that is not white space.
    fn peek(&mut self) -> u8 {
        let bytes = self.text.as_bytes();
        while bytes.get(self.offset).is_some_and(u8::is_ascii_whitespace) {
            self.offset += 1;
        }
        bytes.get(self.offset).copied().unwrap_or_default()
    }

    fn value(&mut self) -> Node {
        let first = self.peek();
        let offset = self.offset;
        let value = match first {
            b'{' => Kind::Table(self.table()),
            b'[' => {
                let mut list = Vec::new();
                self.offset += 1;
                while self.peek() != b']' && self.offset < self.text.len() {
                    list.push(self.value());
                    if self.peek() == b',' {
                        self.offset += 1;
                    }
                }
                self.offset += 1;
                Kind::List(list)
            }
            _ => match serde_json::from_str(self.scalar()) {
                Ok(Value::Bool(switch)) => Kind::Bool(switch),
                Ok(Value::Number(number)) => Kind::Number(number),
                Ok(Value::String(text)) => Kind::Text(text),
                // It parsed before, so this is `null`.
                Ok(_) | Err(_) => Kind::Null,
            },
        };
        Node { offset, value }
    }

    fn table(&mut self) -> Vec<Entry> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut names = std::collections::HashSet::new();
        self.offset += 1;
        while self.peek() != b'}' && self.offset < self.text.len() {
            let offset = self.offset;
            let name: String = serde_json::from_str(self.scalar()).unwrap_or_default();
            if self.peek() == b':' {
                self.offset += 1;
            }
            let node = self.value();
            if names.insert(name.clone()) {
                entries.push(Entry { name, offset, node });
            } else {
                self.faults.push((offset, Unreadable::Twice(name)));
            }
            if self.peek() == b',' {
                self.offset += 1;
            }
        }
        self.offset += 1;
        entries
    }

    /// A text with its quotes, a number or a word.
    fn scalar(&mut self) -> &str {
        let start = self.offset;
        let bytes = self.text.as_bytes();
        if bytes.get(start) == Some(&b'"') {
            self.offset += 1;
            while bytes.get(self.offset).is_some_and(|byte| *byte != b'"') {
                self.offset += if bytes[self.offset] == b'\\' { 2 } else { 1 };
            }
            self.offset += 1;
        } else {
            let ends = |byte: &u8| matches!(byte, b',' | b']' | b'}') || byte.is_ascii_whitespace();
            while bytes.get(self.offset).is_some_and(|byte| !ends(byte)) {
                self.offset += 1;
            }
        }
        self.offset = self.offset.min(bytes.len()).max(start + 1);
        self.text.get(start..self.offset).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn toml_and_json_give_the_same_values_and_their_places() {
        let toml =
            Tree::toml("a = 1\n[[b]]\n\"x.y\" = [\"z\", 0.5]\n[c]\nwhen = 2030-01-01T00:00:00Z\n").unwrap();
        let json = Tree::json(
            "{\"a\": 1,\n \"b\": [{\"x.y\": [\"z\",\n 0.5]}], \"c\": {\"when\": \"2030-01-01T00:00:00Z\"}}",
        )
        .unwrap();
        assert_eq!(toml.root.json(), json.root.json());
        let place = |line, column| Place { line, column };
        assert_eq!(toml.place("b[0].x.y[1]"), place(3, 15));
        assert_eq!(json.place("b[0].x.y[1]"), place(3, 2));
        assert_eq!(toml.place("c.when"), place(5, 1));
        assert_eq!(
            toml.place("b[0].missing"),
            place(2, 1),
            "a field that is left out: the table that lacks it"
        );
        assert_eq!(json.place("c.when"), place(3, 16));
    }

    #[test]
    fn every_syntax_fault_of_toml_is_told_and_the_first_of_json() {
        let faults = Tree::toml("a = \nb = 1\nb = 2\nc 3\n").unwrap_err();
        let lines: Vec<usize> = faults.iter().map(|(place, _)| place.line).collect();
        assert!(lines.contains(&1) && lines.contains(&3) && lines.contains(&4), "{faults:?}");
        let faults = Tree::json("{\"a\": 1,\n \"b\" 2}").unwrap_err();
        assert_eq!(faults[0].0, Place { line: 2, column: 6 });
        let faults = Tree::json("{\"a\": 1,\n \"a\": 2}").unwrap_err();
        assert_eq!(faults, [(Place { line: 2, column: 2 }, Unreadable::Twice("a".into()))]);
        assert!(Tree::json("{\"b\": 1e999}").is_err());
        assert!(Tree::toml("a = inf").is_err() && Tree::toml("a = 99999999999999999999").is_err());
    }

    #[test]
    fn hostile_texts_are_refused_without_a_crash() {
        for text in ["", "[", "{", "\"", "{\"a\"", "nul", "1 2", "\u{feff}{}", "[1,]", "{\"a\":}"] {
            assert!(Tree::json(text).is_err(), "{text}");
        }
        assert!(Tree::json(&"[".repeat(100_000)).is_err());
        assert!(Tree::json(&format!("{}{}", "[".repeat(1000), "]".repeat(1000))).is_err());
        assert!(Tree::toml(&format!("a = {}{}", "[".repeat(1000), "]".repeat(1000))).is_err());
        assert!(Tree::toml(&format!("{} = 1", vec!["a"; 50_000].join("."))).is_err());
    }
}
