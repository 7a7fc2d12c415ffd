//! Numbering plans: the metadata of libphonenumber, each pattern compiled once, when it is first needed.
//!
//! The `phonenumber` crate carries the data. Its own parser is not used: it accepts patterns that match only the beginning of a
//! number, and keeps its compiled patterns in one small cache behind a lock, so that mixed countries compile again and again.

use super::PhoneKind;
use phonenumber::Metadata;
use phonenumber::metadata::{DATABASE, Descriptor};
use regex::{Regex, RegexBuilder};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{LazyLock, OnceLock};

/// The plan of one region, or of a calling code of the whole world.
pub(super) struct Plan {
    /// ISO 3166 code, or `001` for the world.
    pub region: &'static str,
    pub code: u16,
    international_prefix: Option<Pattern>,
    trunk: Option<Pattern>,
    /// What a national number becomes when the trunk pattern found its groups, such as `9$1`.
    trunk_rule: Option<String>,
    leading_digits: Option<Pattern>,
    any: Pattern,
    lengths: Lengths,
    kinds: Vec<Kind>,
}

struct Kind {
    kind: PhoneKind,
    lengths: Lengths,
    pattern: Pattern,
}

/// How a national number's length compares with those of its plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Length {
    Possible,
    /// Enough inside an area only.
    Local,
    TooShort,
    /// Between the shortest and the longest, but of no length the plan has.
    Odd,
    TooLong,
}

struct Lengths {
    full: BTreeSet<usize>,
    local: BTreeSet<usize>,
}

impl Plan {
    /// The plan of a region, `None` where nobody can be called.
    pub fn of_region(region: &str) -> Option<&'static Plan> {
        PLANS.by_region.get(region).map(|index| &PLANS.all[*index])
    }

    /// The main plan of the calling code that the international digits begin with, and the digits behind the code.
    pub fn of_number(digits: &str) -> Option<(&'static Plan, &str)> {
        let (plans, national) = split(digits)?;
        Some((plans.first()?, national))
    }

    /// The plan in which the international digits are a valid number, and what kind of number it is there.
    pub fn valid(digits: &str) -> Option<(&'static Plan, PhoneKind)> {
        let (plans, national) = split(digits)?;
        if let [plan] = plans {
            return plan.kind(national).map(|kind| (plan, kind));
        }
        plans.iter().find_map(|plan| match &plan.leading_digits {
            Some(leading) if leading.begins(national) => Some((plan, plan.kind(national)?)),
            Some(_) => None,
            None => plan.kind(national).map(|kind| (plan, kind)),
        })
    }

    /// The kind of a valid national number.
    fn kind(&self, national: &str) -> Option<PhoneKind> {
        if !self.is_national(national) {
            return None;
        }
        let fits = |kind: &&Kind| kind.lengths.full.contains(&national.len()) && kind.pattern.is(national);
        let first = self.kinds.iter().find(fits)?;
        // Patterns of fixed lines and mobiles may overlap; the others come before them.
        let both = first.kind == PhoneKind::FixedLine
            && self.kinds.iter().filter(|kind| kind.kind == PhoneKind::Mobile).any(|kind| fits(&kind));
        Some(if both { PhoneKind::FixedLineOrMobile } else { first.kind })
    }

    /// Matches the most general pattern of the plan.
    pub fn is_national(&self, national: &str) -> bool {
        self.any.is(national)
    }

    pub fn length(&self, national: &str) -> Length {
        let length = national.len();
        let (Some(shortest), Some(longest)) = (self.lengths.full.first(), self.lengths.full.last()) else {
            return Length::TooLong;
        };
        if self.lengths.full.contains(&length) {
            Length::Possible
        } else if self.lengths.local.contains(&length) {
            Length::Local
        } else if length < *shortest {
            Length::TooShort
        } else if length > *longest {
            Length::TooLong
        } else {
            Length::Odd
        }
    }

    /// What follows the prefix with which one dials abroad from here; no country's code begins with 0.
    pub fn strip_international_prefix<'a>(&self, digits: &'a str) -> Option<&'a str> {
        let found = self.international_prefix.as_ref()?.beginning().find(digits)?;
        let rest = &digits[found.end()..];
        (!rest.is_empty() && !rest.starts_with('0')).then_some(rest)
    }

    /// Drops the trunk prefix and the carrier's code of a number as dialled inside the country, if what remains can be a number.
    pub fn strip_trunk<'a>(&self, national: &'a str) -> Cow<'a, str> {
        let Some(stripped) = self.without_trunk(national) else {
            return Cow::Borrowed(national);
        };
        if self.is_national(national) && !self.is_national(&stripped) {
            return Cow::Borrowed(national);
        }
        match self.length(&stripped) {
            Length::TooShort | Length::Local | Length::Odd => Cow::Borrowed(national),
            Length::Possible | Length::TooLong => stripped,
        }
    }

    fn without_trunk<'a>(&self, national: &'a str) -> Option<Cow<'a, str>> {
        let captures = self.trunk.as_ref()?.beginning().captures(national)?;
        let whole = captures.get(0)?;
        let rest = &national[whole.end()..];
        let last_group = captures.len() - 1;
        match &self.trunk_rule {
            Some(rule) if last_group > 0 && captures.get(last_group).is_some() => {
                let mut transformed = String::with_capacity(16);
                captures.expand(rule, &mut transformed);
                transformed.push_str(rest);
                Some(Cow::Owned(transformed))
            }
            _ => Some(Cow::Borrowed(rest)),
        }
    }

    fn read(from: &'static Metadata) -> Plan {
        use PhoneKind::*;
        let all = from.descriptors();
        // The order decides the kind of a number that several patterns match; `Descriptors` names them as the metadata does.
        let kinds: Vec<Kind> = [
            (Other, all.premium_rate()),
            (TollFree, all.toll_free()),
            (Other, all.shared_cost()),
            (Voip, all.voip()),
            (Other, all.personal_number()),
            (Other, all.pager()),
            (Other, all.uan()),
            (Other, all.voicemail()),
            (FixedLine, all.fixed_line()),
            (Mobile, all.mobile()),
        ]
        .into_iter()
        .filter_map(|(kind, descriptor)| descriptor.map(|descriptor| Kind::read(kind, descriptor)))
        .collect();
        // The general description carries no lengths of its own: they are those of all kinds.
        let full: BTreeSet<usize> = kinds.iter().flat_map(|kind| kind.lengths.full.iter().copied()).collect();
        let local =
            kinds.iter().flat_map(|kind| kind.lengths.local.iter().copied()).filter(|n| !full.contains(n)).collect();
        let trunk = from
            .national_prefix_for_parsing()
            .map(|pattern| pattern.as_str())
            .or_else(|| from.national_prefix())
            .map(Pattern::new);
        Plan {
            region: from.id(),
            code: from.country_code(),
            international_prefix: from.international_prefix().map(|pattern| Pattern::new(pattern.as_str())),
            trunk,
            trunk_rule: from.national_prefix_transform_rule().map(braced),
            leading_digits: from.leading_digits().map(|pattern| Pattern::new(pattern.as_str())),
            any: Pattern::new(all.general().national_number().as_str()),
            lengths: Lengths { full, local },
            kinds,
        }
    }
}

impl Kind {
    fn read(kind: PhoneKind, from: &Descriptor) -> Kind {
        let set = |lengths: &[u16]| lengths.iter().map(|length| usize::from(*length)).collect();
        Kind {
            kind,
            lengths: Lengths { full: set(from.possible_length()), local: set(from.possible_local_length()) },
            pattern: Pattern::new(from.national_number().as_str()),
        }
    }
}

/// `$1` as `${1}`, so that a digit behind it is no part of the group's number.
fn braced(rule: &str) -> String {
    let mut braced = String::with_capacity(rule.len() + 4);
    let mut chars = rule.chars();
    while let Some(c) = chars.next() {
        braced.push(c);
        if c == '$'
            && let Some(group) = chars.next()
        {
            braced.extend(['{', group, '}']);
        }
    }
    braced
}

/// A pattern of the metadata, compiled when it is first asked.
struct Pattern {
    source: String,
    whole: OnceLock<Regex>,
    beginning: OnceLock<Regex>,
}

impl Pattern {
    fn new(source: &str) -> Pattern {
        // The metadata breaks long patterns over lines.
        let source = source.chars().filter(|c| !c.is_whitespace()).collect();
        Pattern { source, whole: OnceLock::new(), beginning: OnceLock::new() }
    }

    /// Matches the digits from first to last.
    fn is(&self, digits: &str) -> bool {
        self.whole.get_or_init(|| compile(&format!("^(?:{})$", self.source))).is_match(digits)
    }

    fn begins(&self, digits: &str) -> bool {
        self.beginning().is_match(digits)
    }

    fn beginning(&self) -> &Regex {
        self.beginning.get_or_init(|| compile(&format!("^(?:{})", self.source)))
    }
}

fn compile(source: &str) -> Regex {
    RegexBuilder::new(source)
        .unicode(false)
        .build()
        .expect("the patterns of the metadata compile, as a test of all of them shows")
}

struct Plans {
    all: Vec<Plan>,
    by_region: BTreeMap<&'static str, usize>,
    /// By calling code, the range of its plans in `all`, the main one first.
    by_code: Vec<std::ops::Range<usize>>,
}

static PLANS: LazyLock<Plans> = LazyLock::new(|| {
    let mut plans = Plans { all: Vec::new(), by_region: BTreeMap::new(), by_code: Vec::with_capacity(1000) };
    for code in 0..1000_u16 {
        let start = plans.all.len();
        for metadata in DATABASE.by_code(&code).unwrap_or_default() {
            plans.by_region.insert(metadata.id(), plans.all.len());
            plans.all.push(Plan::read(metadata));
        }
        plans.by_code.push(start..plans.all.len());
    }
    plans.by_region.remove("001");
    plans
});

/// The plans of the calling code (one to three digits, none of which begins another) and the national digits.
fn split(digits: &str) -> Option<(&'static [Plan], &str)> {
    (1..=3).find_map(|length| {
        let code: usize = digits.get(..length)?.parse().ok()?;
        let plans = &PLANS.all[PLANS.by_code.get(code)?.clone()];
        (!plans.is_empty()).then_some((plans, &digits[length..]))
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Every region with the example numbers of its plan.
    pub fn examples() -> Vec<(&'static Plan, String)> {
        let descriptors = |metadata: &'static Metadata| {
            let all = metadata.descriptors();
            [all.mobile(), all.fixed_line(), all.toll_free(), all.voip(), all.premium_rate()].into_iter().flatten()
        };
        let mut examples = Vec::new();
        for plan in PLANS.all.iter().filter(|plan| plan.region != "001") {
            let metadata = DATABASE.by_id(plan.region).unwrap();
            examples
                .extend(descriptors(metadata).filter_map(|d| d.example()).map(|example| (plan, example.to_owned())));
        }
        examples
    }

    #[test]
    fn every_pattern_compiles() {
        for plan in &PLANS.all {
            let patterns = [&plan.international_prefix, &plan.trunk, &plan.leading_digits].into_iter().flatten();
            for pattern in patterns.chain([&plan.any]).chain(plan.kinds.iter().map(|kind| &kind.pattern)) {
                pattern.is("1");
                pattern.begins("1");
            }
        }
        assert!(PLANS.all.len() > 240);
    }

    #[test]
    fn the_main_region_of_a_code_comes_first() {
        for (digits, region) in
            [("16502530000", "US"), ("442070313000", "GB"), ("79161234567", "RU"), ("390236618300", "IT")]
        {
            assert_eq!(Plan::of_number(digits).unwrap().0.region, region);
        }
    }
}
