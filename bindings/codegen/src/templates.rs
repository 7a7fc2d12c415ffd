//! The template engine, strict: a name that is not given is an error.

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior};
use serde_json::Value;
use std::error::Error;

/// Templates by name.
pub struct Templates(Environment<'static>);

impl Templates {
    pub fn new(sources: &[(&'static str, &'static str)]) -> Result<Self, Box<dyn Error>> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_syntax(
            SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).keep_trailing_newline(true).build()?,
        );
        for (name, source) in sources {
            environment.add_template(name, source)?;
        }
        Ok(Templates(environment))
    }

    pub fn write(&self, name: &str, values: Value) -> Result<String, Box<dyn Error>> {
        Ok(self.0.get_template(name)?.render(minijinja::Value::from(Serde(values)))?)
    }
}

/// At most one empty line in a row, no blanks at the end of a line, and one newline at the end.
pub fn tidy(text: &str) -> String {
    let mut lines: Vec<&str> = Vec::new();
    for line in text.lines().map(str::trim_end) {
        if !(line.is_empty() && lines.last().is_none_or(|last| last.is_empty())) {
            lines.push(line);
        }
    }
    lines.join("\n").trim_end().to_owned() + "\n"
}
