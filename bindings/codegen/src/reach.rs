//! Who writes which values: the caller, the engine, or both. Definitions that nobody writes are not generated.

use crate::ir::{Definition, Shape, Type};
use std::collections::{BTreeMap, BTreeSet};

type Definitions = BTreeMap<String, Definition>;

/// Who writes a value: a field that may be left out is still there when it is read.
#[derive(Clone, Copy, PartialEq)]
pub enum Use {
    /// The caller.
    Input,
    /// The engine, which writes every field.
    Output,
    /// The engine, which leaves out what did not change.
    Event,
    /// Both.
    Shared,
}

/// Which definitions are written by whom, and every typed id.
pub struct Reach {
    given: BTreeSet<String>,
    returned: BTreeSet<String>,
    heard: BTreeSet<String>,
    pub ids: BTreeSet<String>,
}

impl Reach {
    pub fn new<'a>(
        definitions: &Definitions,
        given: &[Type],
        returned: &[Type],
        heard: &[Type],
        ids: impl Iterator<Item = &'a str>,
    ) -> Reach {
        let mut reach = Reach {
            given: BTreeSet::new(),
            returned: BTreeSet::new(),
            heard: BTreeSet::new(),
            ids: ids.filter(|id| !definitions.contains_key(*id)).map(str::to_owned).collect(),
        };
        let mut found = BTreeSet::new();
        given.iter().for_each(|kind| walk(kind, definitions, &mut reach.given, &mut found));
        returned.iter().for_each(|kind| walk(kind, definitions, &mut reach.returned, &mut found));
        heard.iter().for_each(|kind| walk(kind, definitions, &mut reach.heard, &mut found));
        let mut rest = BTreeSet::new();
        for name in definitions.keys() {
            walk(&Type::Named(name.clone()), definitions, &mut rest, &mut found);
        }
        reach.ids.extend(found.into_iter().filter(|id| !definitions.contains_key(id)));
        reach
    }

    /// Whether values of the definition cross at all.
    pub fn contains(&self, name: &str) -> bool {
        [&self.given, &self.returned, &self.heard].iter().any(|names| names.contains(name))
    }

    /// Who writes values of the definition.
    pub fn usage(&self, name: &str) -> Use {
        match (self.given.contains(name), self.returned.contains(name), self.heard.contains(name)) {
            (true, false, false) => Use::Input,
            (false, true, _) => Use::Output,
            (false, false, true) => Use::Event,
            _ => Use::Shared,
        }
    }
}

fn walk(kind: &Type, definitions: &Definitions, names: &mut BTreeSet<String>, ids: &mut BTreeSet<String>) {
    match kind {
        Type::Id(name) => {
            ids.insert(name.clone());
        }
        Type::List(inner) | Type::Map(inner) | Type::Nullable(inner) | Type::Page(inner) => {
            walk(inner, definitions, names, ids);
        }
        Type::Either(kinds) => kinds.iter().for_each(|kind| walk(kind, definitions, names, ids)),
        Type::Named(name) | Type::Form(name) if names.insert(name.clone()) => match definitions.get(name) {
            Some(Definition { shape: Shape::Record(fields), .. }) => {
                fields.iter().for_each(|field| walk(&field.kind, definitions, names, ids));
            }
            Some(Definition { shape: Shape::Union(cases) | Shape::Forms(cases), .. }) => {
                let fields = cases.iter().flat_map(|case| &case.fields);
                fields.for_each(|field| walk(&field.kind, definitions, names, ids));
            }
            Some(Definition { shape: Shape::Alias(kind), .. }) => walk(kind, definitions, names, ids),
            _ => {}
        },
        _ => {}
    }
}
