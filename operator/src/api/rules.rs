//! Rules and messages that several fields share. What a StatefulSet or a Service would be refused for later is refused here, with the
//! field, its value and what to write instead.

use std::sync::LazyLock;

use kube::{
    CustomResourceExt,
    core::{
        Message, Rule,
        cel::{CompiledSchema, ValidationErrors, Validator, compile_schema},
    },
};
use serde_json::{Value, json};

use super::ValkeyReplication;

/// The rules of the definition. To compile them takes as long as thousands of looks at a resource.
static RULES: LazyLock<CompiledSchema> = LazyLock::new(|| {
    let definition = serde_json::to_value(ValkeyReplication::crd()).unwrap_or_default();
    let schema = definition.pointer("/spec/versions/0/schema/openAPIV3Schema");
    compile_schema(schema.unwrap_or(&Value::Null))
});

impl ValkeyReplication {
    /// Checks the resource against the rules of the definition that this operator brings: the API server may know an older one.
    ///
    /// # Errors
    /// All rules that it breaks, in the words that the API server would use.
    pub fn check(&self) -> Result<(), ValidationErrors> {
        let object = serde_json::to_value(self).unwrap_or_default();
        Validator::new().validate_compiled(&RULES, &object, None)
    }
}

/// A message that begins with the field and the value that it has.
pub(super) fn says(field: &str, what: &str) -> Message {
    Message::Expression(format!("'{field} \\'' + self + '\\' {}'", what.replace('\'', "\\'")))
}

/// The name of another object in the same namespace, or of one that belongs to none.
pub(super) fn object_name(field: &str) -> Rule {
    Rule::new(r"self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$')").message(says(
        field,
        "is no name of an object: lower-case letters, digits, dashes and dots, with a letter or a digit at both ends",
    ))
}

/// The most labels or annotations of one kind; the API server wants a bound to estimate what a rule costs.
pub(super) const MOST_LABELS: u32 = 64;

pub(super) const NAME: &str = "[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?";
pub(super) const DOMAIN: &str = "[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*";

/// The keys of labels, annotations and what else is called the same way. They have no bound, so that the message cannot hold them.
pub(super) fn qualified_names(field: &str) -> Rule {
    Rule::new(format!("self.all(k, k.matches('^({DOMAIN}/)?{NAME}$'))")).message(
        format!(
            "{field} has a key that is none: write letters, digits, dashes, dots and underscores, with a domain and a slash before them or without"
        )
        .as_str(),
    )
}

/// The name of something that is called as labels' keys are.
pub(super) fn qualified_name(field: &str) -> Rule {
    Rule::new(format!("self.matches('^({DOMAIN}/)?{NAME}$')")).message(says(
        field,
        "is no such name: write letters, digits, dashes, dots and underscores, with a domain and a slash before them or without",
    ))
}

/// The schema of a map's values or a list's items: text of at most so many characters, each of which this rule holds for.
pub(super) fn text(longest: u32, rule: Rule) -> serde_json::Value {
    json!({"type": "string", "maxLength": longest, "x-kubernetes-validations": [rule]})
}

/// The schema of the values of labels.
pub(super) fn label_value(field: &str) -> serde_json::Value {
    let rule = Rule::new(format!("self.matches('^({NAME})?$')"));
    text(
        63,
        rule.message(says(field, "is no value of a label: letters, digits, dashes, dots and underscores, or nothing")),
    )
}
