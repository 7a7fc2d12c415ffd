//! Declares a closed list of words: one table gives the enum, its wire text, its parser and its schema.

/// Declares an enum whose JSON form is the text beside each variant.
///
/// It gets `ALL`, `as_str`, `parse` (exact; anything else is `enum_unknown` with `allowed`), `Display`, serde and a schema.
/// Describe all variants or none: the schema then has one shape.
///
/// ```
/// ventros::text_enum! {
///     /// How urgent it is.
///     pub enum Urgency {
///         /// Whenever somebody is free.
///         Low = "low",
///         /// Today.
///         High = "high",
///     }
/// }
/// assert_eq!(Urgency::parse("high").unwrap(), Urgency::High);
/// ```
#[macro_export]
macro_rules! text_enum {
    ($(#[$outer:meta])* pub enum $name:ident { $($(#[$inner:meta])* $variant:ident = $text:literal),* $(,)? }) => {
        $(#[$outer])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
        )]
        pub enum $name { $($(#[$inner])* #[serde(rename = $text)] $variant,)* }

        impl $name {
            /// All values, in the order of their declaration.
            pub const ALL: &'static [$name] = &[$($name::$variant,)*];

            /// The wire form.
            pub const fn as_str(self) -> &'static str { match self { $($name::$variant => $text,)* } }

            /// Reads the wire form; case and spaces count.
            pub fn parse(text: &str) -> $crate::kernel::Result<Self> {
                match text {
                    $($text => Ok($name::$variant),)*
                    _ => Err($crate::kernel::Error::new($crate::kernel::ErrorCode::EnumUnknown)
                        .with("allowed", Self::ALL.iter().map(|value| value.as_str()).collect::<Vec<_>>())),
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { f.write_str(self.as_str()) }
        }
    };
}

/// Gives a value type over text its `Display`, `Debug`, `AsRef<str>`, serde and schema.
///
/// The type has `as_str(&self) -> &str` and `parse(&str) -> Result<Self>`; reading JSON goes through `parse`.
macro_rules! text_value {
    ($name:ident, $schema:tt) => {
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{}({:?})", stringify!($name), self.as_str())
            }
        }
        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                self.as_str()
            }
        }
        impl std::str::FromStr for $name {
            type Err = $crate::kernel::Error;
            fn from_str(text: &str) -> $crate::kernel::Result<Self> {
                Self::parse(text)
            }
        }
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                $crate::kernel::input::text(deserializer, Self::parse)
            }
        }
        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!($schema)
            }
        }
    };
}
pub(crate) use text_value;
