//! Tags, and the ordered set of an aggregate's tags.

use super::error::{Error, ErrorCode, Result};
use super::text::{self, fold};

/// A tag: 1–50 characters, no comma, its case kept.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tag(Box<str>);

impl Tag {
    pub const MAX: usize = 50;

    /// # Errors
    /// `tag_invalid`, its details say why.
    pub fn parse(text: &str) -> Result<Self> {
        let invalid = |reason: &str| Error::new(ErrorCode::TagInvalid).with("reason", reason);
        let name =
            text::name(text, 1, Self::MAX).map_err(|error| invalid(error.code().as_str()).with("max", Self::MAX))?;
        if name.contains(',') {
            return Err(invalid("comma"));
        }
        // Nothing but accents would be equal to every other such tag.
        if fold(&name).is_empty() { Err(invalid("name_required")) } else { Ok(Tag(name.into())) }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What decides equality inside a set: the text without case and accents.
    pub fn key(&self) -> String {
        fold(&self.0)
    }
}

super::text_enum::text_value!(Tag, {
    "type": "string", "minLength": 1, "maxLength": 50, "pattern": "^[^,]*$", "description": "A tag; case and accents do not distinguish tags."
});

/// Tags in the order they were added, none twice. JSON: a list of strings.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize)]
#[serde(transparent)]
pub struct TagSet(Vec<Tag>);

impl TagSet {
    /// How many tags a set holds.
    pub const MAX: usize = 50;

    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the first of equal tags.
    ///
    /// # Errors
    /// `tag_limit`.
    pub fn from_tags(tags: impl IntoIterator<Item = Tag>) -> Result<Self> {
        let mut set = TagSet::new();
        for tag in tags {
            set.insert(tag)?;
        }
        Ok(set)
    }

    /// Adds a tag at the end; `false` when it is there already, in whatever case.
    ///
    /// # Errors
    /// `tag_limit`.
    pub fn insert(&mut self, tag: Tag) -> Result<bool> {
        if self.contains(&tag) {
            Ok(false)
        } else if self.0.len() >= Self::MAX {
            Err(Error::new(ErrorCode::TagLimit)
                .with("limit", "tags")
                .with("current", self.0.len())
                .with("max", Self::MAX))
        } else {
            self.0.push(tag);
            Ok(true)
        }
    }

    /// Takes a tag out, whatever its case; returns it as it was written.
    pub fn remove(&mut self, tag: &Tag) -> Option<Tag> {
        let key = tag.key();
        let at = self.0.iter().position(|present| present.key() == key)?;
        Some(self.0.remove(at))
    }

    pub fn contains(&self, tag: &Tag) -> bool {
        let key = tag.key();
        self.0.iter().any(|present| present.key() == key)
    }

    pub fn iter(&self) -> std::slice::Iter<'_, Tag> {
        self.0.iter()
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The keys, for filters.
    pub fn keys(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(Tag::key)
    }
}

impl<'a> IntoIterator for &'a TagSet {
    type Item = &'a Tag;
    type IntoIter = std::slice::Iter<'a, Tag>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl IntoIterator for TagSet {
    type Item = Tag;
    type IntoIter = std::vec::IntoIter<Tag>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'de> serde::Deserialize<'de> for TagSet {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        TagSet::from_tags(Vec::<Tag>::deserialize(deserializer)?).map_err(super::input::carry)
    }
}

impl schemars::JsonSchema for TagSet {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "TagSet".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let tag = generator.subschema_for::<Tag>();
        schemars::json_schema!({"type": "array", "items": tag, "maxItems": 50})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(text: &str) -> Tag {
        Tag::parse(text).unwrap()
    }

    #[test]
    fn case_27_tags_are_unique_without_case() {
        let mut tags = TagSet::new();
        assert!(tags.insert(tag("VIP")).unwrap());
        assert!(!tags.insert(tag("vip")).unwrap());
        assert_eq!(serde_json::to_string(&tags).unwrap(), r#"["VIP"]"#);
        for n in 1..50 {
            tags.insert(tag(&format!("t{n}"))).unwrap();
        }
        let error = tags.insert(tag("one more")).unwrap_err();
        assert_eq!((error.code().as_str(), error.kind().as_str()), ("tag_limit", "limit_exceeded"));
        assert!(!tags.insert(tag("Víp")).unwrap());
    }

    #[test]
    fn tags_keep_their_order_and_spelling() {
        let mut tags = TagSet::from_tags([tag("b"), tag("  São   Paulo "), tag("B")]).unwrap();
        assert_eq!(tags.iter().map(Tag::as_str).collect::<Vec<_>>(), ["b", "São Paulo"]);
        assert_eq!(tags.remove(&tag("SAO PAULO")), Some(tag("São Paulo")));
        assert_eq!(tags.remove(&tag("x")), None);
    }

    #[test]
    fn what_is_no_tag() {
        for text in ["", "  ", "a,b", "a\u{0}", "\u{301}", &"x".repeat(51)] {
            assert_eq!(Tag::parse(text).unwrap_err().code(), ErrorCode::TagInvalid, "{text}");
        }
    }
}
