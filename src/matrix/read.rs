//! Checks shared by all YAML files: mappings with known keys, lists, texts, names.

use std::str::FromStr;

use super::problems::Collector;
use super::text::{expected_one_of, nearest, quote};
use super::tree::{Key, Value, YamlNode};
use crate::words::BadName;

/// The entries of a mapping, under their corrected keys.
pub(super) struct Fields<'n>(Vec<(&'static str, &'n Key, &'n YamlNode)>);

impl<'n> Fields<'n> {
    pub(super) fn get(&self, name: &str) -> Option<&'n YamlNode> {
        self.iter().find(|(meant, ..)| *meant == name).map(|(.., node)| node)
    }

    /// Each corrected key, the key in the file, and its value, in the file's order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&'static str, &'n Key, &'n YamlNode)> {
        self.0.iter().copied()
    }
}

impl Collector<'_> {
    /// The entries of a mapping; unknown keys are reported. A misspelt key is then treated as the key that was probably
    /// meant, so that one slip is one mistake, and its value is still checked.
    pub(super) fn mapping<'n>(
        &mut self,
        node: &'n YamlNode,
        expected: &str,
        keys: &'static [&'static str],
    ) -> Option<Fields<'n>> {
        let Value::Map(entries) = &node.value else {
            self.wrong_type(node, expected);
            return None;
        };
        let known = |key: &Key| keys.iter().copied().find(|name| *name == key.text);
        let mut given: Vec<&str> = entries.iter().filter_map(|(key, _)| known(key)).collect();
        let mut fields = Vec::with_capacity(given.len());
        for (key, value) in entries {
            if let Some(name) = known(key) {
                fields.push((name, key, value));
                continue;
            }
            let names = keys.iter().copied();
            self.add(&key.span, || {
                format!("unknown key {}: {}", quote(&key.text), expected_one_of(&key.text, names.clone()))
            });
            // If all names are used there is nothing to suggest; this bounds the work on a hostile mapping.
            if given.len() == keys.len() || self.is_full() {
                continue;
            }
            if let Some(name) = nearest(&key.text, names).filter(|name| !given.contains(name)) {
                given.push(name);
                fields.push((name, key, value));
            }
        }
        Some(Fields(fields))
    }

    /// The items of a list that must not be empty. `what` names them, in the plural.
    pub(super) fn items<'n>(&mut self, node: &'n YamlNode, what: &str) -> Option<&'n [YamlNode]> {
        match &node.value {
            Value::List(items) if items.is_empty() => {
                self.add(&node.span, || format!("expected a list of {what}, found an empty one"));
                None
            }
            Value::List(items) => Some(items),
            Value::Text(text) => {
                self.add(&node.span, || {
                    let shown = quote(text);
                    let bare = shown.trim_matches('`');
                    format!("expected a list of {what}, found {shown}; a list of one is `[{bare}]`")
                });
                None
            }
            _ => {
                self.wrong_type(node, &format!("a list of {what}"));
                None
            }
        }
    }

    /// The text of a scalar.
    pub(super) fn text<'n>(&mut self, node: &'n YamlNode, what: &str) -> Option<&'n str> {
        let Value::Text(text) = &node.value else {
            self.wrong_type(node, what);
            return None;
        };
        Some(text)
    }

    /// The value of a scalar with a grammar. `what` names it: `memory`, `suite` …
    pub(super) fn value<'n, T>(
        &mut self,
        node: &'n YamlNode,
        what: &str,
        read: impl FnOnce(&'n str) -> Result<T, String>,
    ) -> Option<T> {
        let Value::Text(text) = &node.value else {
            self.wrong_type(node, &format!("one value ({what})"));
            return None;
        };
        match read(text) {
            Ok(value) => Some(value),
            Err(expected) => {
                self.add(&node.span, || format!("bad {what} {}: {expected}", quote(text)));
                None
            }
        }
    }

    /// The text of a scalar, if it is valid. `what` names it: `release`, `pattern` …
    pub(super) fn checked(
        &mut self,
        node: &YamlNode,
        what: &str,
        check: impl FnOnce(&str) -> Result<(), String>,
    ) -> Option<String> {
        self.value(node, what, |text| check(text).map(|()| text.to_owned()))
    }

    /// The values of a list that must not be empty; `None` if one is wrong. `what` names them, in the plural.
    pub(super) fn each<T>(
        &mut self,
        node: &YamlNode,
        what: &str,
        mut read: impl FnMut(&YamlNode, &mut Self) -> Option<T>,
    ) -> Option<Vec<T>> {
        let items: Vec<Option<T>> = self.items(node, what)?.iter().map(|item| read(item, self)).collect();
        items.into_iter().collect()
    }

    /// A name by the rules of [`crate::words`].
    pub(super) fn name<T: FromStr<Err = BadName>>(&mut self, node: &YamlNode, what: &str) -> Option<T> {
        let text = self.text(node, what)?;
        match text.parse() {
            Ok(name) => Some(name),
            Err(_) => {
                let shown = || BadName(quote(text).trim_matches('`').to_owned()).to_string();
                self.add(&node.span, shown);
                None
            }
        }
    }

    /// `true` or `false`.
    pub(super) fn boolean(&mut self, node: &YamlNode) -> Option<bool> {
        match &node.value {
            Value::Text(text) if text == "true" => Some(true),
            Value::Text(text) if text == "false" => Some(false),
            _ => {
                self.wrong_type(node, "`true` or `false`");
                None
            }
        }
    }

    /// The value of a required key.
    pub(super) fn needed<'n>(&mut self, fields: &Fields<'n>, key: &str, mapping: &YamlNode) -> Option<&'n YamlNode> {
        let node = fields.get(key);
        if node.is_none() {
            self.add(&mapping.span, || format!("the key {} is missing here", quote(key)));
        }
        node
    }

    /// Reports that a value has the wrong type.
    pub(super) fn wrong_type(&mut self, node: &YamlNode, expected: &str) {
        if !matches!(node.value, Value::Refused) {
            self.add(&node.span, || format!("expected {expected}, found {}", node.value.describe()));
        }
    }
}
