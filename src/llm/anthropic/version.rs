//! What a Claude model's name says about what it takes. Names that say nothing are taken for the newest.

/// The generation of a Claude model: major and minor version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(u32, u32);

impl Version {
    /// Reads a name as it is written on any platform (`claude-3-7-sonnet-latest`,
    /// `us.anthropic.claude-sonnet-4-5-20250929-v1:0`, `claude-haiku-4-5@20251001`).
    pub fn of(model: &str) -> Option<Self> {
        let (_, name) = model.split_once("claude-")?;
        let mut words = name.split(|c: char| !c.is_ascii_alphanumeric());
        // Dates are longer than versions.
        let number = |word: &str| word.parse::<u32>().ok().filter(|_| word.len() <= 2);
        let major = words.by_ref().find_map(number)?;
        Some(Self(major, words.next().and_then(number).unwrap_or(0)))
    }

    /// Whether it thinks at all (API reference, "Extended thinking").
    pub fn thinks(self) -> bool {
        self >= Self(3, 7)
    }

    /// Whether it decides by itself how much to think, and takes a level instead of a budget.
    pub fn is_adaptive(self) -> bool {
        self >= Self(4, 6)
    }

    /// Whether it takes the level `xhigh` beside `max`.
    pub fn takes_extra_high(self) -> bool {
        self >= Self(4, 7)
    }

    /// Whether it takes a schema for its answer, and for tools that must be followed exactly
    /// ("Structured outputs"; of 4.1 there is Opus alone).
    pub fn takes_schemas(self) -> bool {
        self >= Self(4, 1)
    }

    /// Whether it refuses `temperature`, `top_p` and `top_k` other than by default.
    pub fn refuses_sampling(self) -> bool {
        self >= Self(4, 7)
    }

    /// Whether it refuses `temperature` together with `top_p`.
    pub fn wants_one_sampling(self) -> bool {
        self >= Self(4, 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_found_in_names_of_every_platform() {
        for (name, version) in [
            ("claude-3-7-sonnet-latest", Some(Version(3, 7))),
            ("claude-sonnet-4-20250514", Some(Version(4, 0))),
            ("claude-opus-4-1-20250805", Some(Version(4, 1))),
            ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", Some(Version(4, 5))),
            ("claude-haiku-4-5@20251001", Some(Version(4, 5))),
            ("anthropic/claude-opus-4.7", Some(Version(4, 7))),
            ("claude-sonnet-5", Some(Version(5, 0))),
            ("claude-latest", None),
            ("served", None),
        ] {
            assert_eq!(Version::of(name), version, "{name}");
        }
    }
}
